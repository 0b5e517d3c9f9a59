"""Checks whether a queue that nobody serves was meant to be one that workers serve.

Two mistakes lead to such a queue: runqy's rule that NAME means NAME.default, if the workers are plain asynq's and serve
NAME; and a typing error. In both cases the tasks would wait for ever, and there is no error message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loader.errors import QueueNameError
from loader.preflight.checks import Finding
from loader.preflight.consumers import Consumer
from loader.preflight.intended import IntendedLoad
from loader.preflight.layout import named
from loader.preflight.usage import QueueSigns, Usage
from loader.queues.names import DEFAULT_SUB_QUEUE, resolve_queue
from loader.queues.near import nearly_same
from loader.settings import LoadOptions

_NAME = "queue_name"
_MOST_SHOWN = 3

Served = Mapping[str, Sequence[Consumer]]
"""The consumers of each queue."""


def name_finding(load: IntendedLoad, usage: Usage) -> Finding | None:
    """An error if the load's queue is most likely a mistake; a warning if other known queues are. None if all is fine.

    Args:
        load: A load with settled options.
        usage: The usage of its queues.
    """
    options = load.options
    consumers = [one for one in usage.living if one.layout == options.layout_name]
    if any(one.queues is None for one in consumers):
        return None  # it may serve any queue
    served: dict[str, list[Consumer]] = {}
    for consumer in consumers:
        for name in consumer.queues or ():
            served.setdefault(name, []).append(consumer)
    unserved = [queue for queue in usage.queues if queue.name not in served]
    for queue in unserved:
        if queue.name == options.default_queue and (found := _of_own(load, queue, served)) is not None:
            return found.ignored_by("--force-queue") if options.force_queue else found
    return _of_others([queue for queue in unserved if queue.name != options.default_queue], served)


def meant_without_sub_queue(given: str, queue: str, usage: Usage) -> Finding | None:
    """The error for a name that workers serve as it is, while runqy's rule makes another name of it.

    Args:
        given: The name that the user gave.
        queue: The full name that it means.
    """
    serving = [one for one in usage.living if one.queues is not None and given in one.queues]
    if given == queue or not serving or any(one.serves(queue) for one in usage.living):
        return None
    return Finding(
        _NAME,
        "error",
        f"no worker serves queue {queue}, which {given} stands for, but {named(serving)} serves {given}",
        f"Give --profile asynq if {given} is the whole name, or write {queue} if you mean that queue",
    )


def _of_own(load: IntendedLoad, queue: QueueSigns, served: Served) -> Finding | None:
    """The error for the queue in ``--queue``, which has no consumer."""
    options = load.options
    given = options.queue or ""
    every = [consumer for some in served.values() for consumer in some]
    if (found := meant_without_sub_queue(given, queue.name, Usage([], every))) is not None:
        return found
    if queue.name in (load.known_queues or ()):
        return None
    if (meant := _meant(queue, served, given)) is None:
        return None
    text = f"no worker serves queue {queue.name}, and it has no keys; did you mean {meant}?"
    serving = f"{named(served[meant])} serves that one"
    hint = f"Give {_how(meant, options)}, or --force-queue if {queue.name} is right"
    return Finding(_NAME, "error", f"{text} {serving[0].upper()}{serving[1:]}", hint)


def _of_others(queues: Sequence[QueueSigns], served: Served) -> Finding | None:
    """A warning for queues that records may name."""
    pairs = [(queue.name, meant) for queue in queues if (meant := _meant(queue, served)) is not None]
    if not pairs:
        return None
    shown = ", ".join(f"{name} (workers serve {meant})" for name, meant in pairs[:_MOST_SHOWN])
    more = ", …" if len(pairs) > _MOST_SHOWN else ""
    return Finding(_NAME, "warning", f"no worker serves {shown}{more}", "Check these names in the records")


def _meant(queue: QueueSigns, served: Served, given: str = "") -> str | None:
    """The served queue with nearly the name of an unused one."""
    if queue.asynq or queue.documented or queue.listed:
        return None
    full = f"{queue.name}.{DEFAULT_SUB_QUEUE}"
    near = (
        name for name in sorted(served) if name == full or nearly_same(name, queue.name) or nearly_same(name, given)
    )
    return next(near, None)


def _how(name: str, options: LoadOptions) -> str:
    """The options that name this queue."""
    try:
        as_it_is = resolve_queue(name, sub_queues=options.defaults.sub_queues) == name
    except QueueNameError:  # more than one dot: only asynq has such names
        as_it_is = False
    return f"--queue {name}" + ("" if as_it_is else " --profile asynq")
