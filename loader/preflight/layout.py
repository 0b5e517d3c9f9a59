"""Checks which layout a queue is used with, and whether a load in the other layout must be refused.

Consumers of one layout never see tasks of the other layout, and there is no error message. The signs, the strongest
first:

1. Running consumers of the queue, and the layout that they read (``consumers.py``).
2. Keys of the queue: ``asynq:{<queue>}:…`` is the asynq layout, ``asynq:<queue>:pending`` or ``:active`` is the
   documented layout. Keys may be leftovers, so running consumers outweigh them.
3. Consumers of the asynq layout that serve other queues. They cause the refusal of a documented load into a queue
   without documented keys: most likely, its workers will be of the same kind and are not running yet.
4. The queue's name in ``asynq:queues``. It never causes a refusal, because the set outlives all tasks.

A sign of the load's own layout cancels a refusal that rests on leftovers alone. docs/doctor.md has the rules as a
table.
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.preflight.checks import Finding
from loader.preflight.consumers import Consumer
from loader.preflight.usage import QueueSigns, Usage
from loader.tasks.profiles import LayoutName
from loader.tasks.sizes import counted

_NEVER_SEE = {
    "documented": "workers of the asynq layout never see documented tasks",
    "asynq": "workers of the documented layout never see tasks of the asynq layout",
}


def layout_finding(
    layout: LayoutName,
    usage: Usage,
    *,
    open_ended: bool = False,
    listed: Sequence[QueueSigns] = (),
    forced: bool = False,
    option: str | None = "--layout",
) -> Finding:
    """The worst finding about the load's queues.

    Args:
        layout: The load's layout.
        usage: The usage of the queues that the load writes to, as far as they are known.
        open_ended: Whether records may name queues that are not known.
        listed: In that case, some of the queues in ``asynq:queues``.
        forced: Whether the user has given ``--force-layout``: then nothing is refused.
        option: The option that sets the layout; None if another layout is not possible.
    """
    findings = [_of_queue(layout, queue, usage.living) for queue in usage.queues]
    if open_ended or not usage.queues:
        findings.append(_of_any_queue(layout, usage.living, listed))
    order = ("ok", "warning", "error")
    finding = max(findings, key=lambda found: order.index(found.level))
    if finding.level == "error" and forced:
        return finding.ignored_by("--force-layout")
    if finding.level == "error":
        other = "asynq" if layout == "documented" else "documented"
        remedy = f"Use {option} {other}" if option else f"First start workers that read the {layout} layout"
        hint = f"{remedy}, or give --force-layout if you know that {layout} is right"
        return Finding("layout", "error", finding.text, hint)
    if finding.level == "ok" and (
        usage.not_permitted or any(queue.not_permitted for queue in (*usage.queues, *listed))
    ):
        return Finding("layout", "unknown", "the server does not tell who consumes, or which keys there are")
    return finding


def _of_queue(layout: LayoutName, queue: QueueSigns, living: Sequence[Consumer]) -> Finding:
    other: LayoutName = "asynq" if layout == "documented" else "documented"
    ours = [consumer for consumer in living if consumer.layout == layout and consumer.serves(queue.name)]
    theirs = [consumer for consumer in living if consumer.layout == other and consumer.serves(queue.name)]
    elsewhere = [consumer for consumer in living if consumer.layout == "asynq" and not consumer.serves(queue.name)]
    own_keys, other_keys = (queue.asynq, queue.documented) if layout == "asynq" else (queue.documented, queue.asynq)
    if theirs and not ours and not (layout == "asynq" and own_keys):
        return _refusal(layout, f"queue {queue.name} is served by {named(theirs)}")
    if layout == "documented":
        if other_keys and not ours:
            return _refusal(layout, f"queue {queue.name} has keys of the asynq layout (asynq:{{{queue.name}}}:…)")
        if theirs or other_keys:
            return _warning(f"queue {queue.name} is used in both layouts, and {_NEVER_SEE[layout]}")
        if elsewhere and not ours:
            text = f"other queues are served by {named(elsewhere)}, not {queue.name}"
            if not own_keys:
                return _refusal(layout, f"{text}, which has no documented keys")
            text = f"{text}; {_NEVER_SEE[layout]}"
            return _warning(text, "If the workers to come are of the same kind, use --layout asynq")
        if queue.listed and not ours and not own_keys:
            text = f"asynq:queues names {queue.name}, as in the asynq layout, and it has no documented keys"
            return _warning(f"{text}; {_NEVER_SEE[layout]}", "If its workers read the asynq layout, use --layout asynq")
        return _fine(layout, queue, ours)
    if other_keys:
        tasks = f"asynq:{queue.name}:pending holds {queue.waiting:,} tasks" if queue.waiting else "it has keys"
        if not (ours or own_keys or elsewhere or queue.listed):
            return _refusal(layout, f"queue {queue.name} is used in the documented layout ({tasks})")
        return _warning(f"queue {queue.name} is used in both layouts: {tasks} of the documented one")
    if theirs:
        return _warning(f"queue {queue.name} is served in both layouts, and {_NEVER_SEE[layout]}")
    return _fine(layout, queue, ours)


def _of_any_queue(layout: LayoutName, living: Sequence[Consumer], listed: Sequence[QueueSigns]) -> Finding:
    ours = [consumer for consumer in living if consumer.layout == layout]
    theirs = [consumer for consumer in living if consumer.layout != layout]
    used = [queue.name for queue in listed if (queue.documented if layout == "asynq" else queue.asynq)]
    if theirs and not ours:
        return _refusal(layout, f"all who consume from this server are {named(theirs)}")
    if theirs:
        return _warning(f"this server has consumers of both layouts, and {_NEVER_SEE[layout]}")
    if ours:
        return Finding("layout", "ok", f"{layout}, which is read by {named(ours)}")
    if used:
        names = ", ".join(sorted(used)[:5]) + (", …" if len(used) > 5 else "")
        return _warning(f"queues are used in the other layout here ({names}), and {_NEVER_SEE[layout]}")
    return Finding("layout", "ok", f"{layout}; nobody consumes from this server at the moment")


def _fine(layout: LayoutName, queue: QueueSigns, ours: Sequence[Consumer]) -> Finding:
    if ours:
        return Finding("layout", "ok", f"{layout}; queue {queue.name} is served by {named(ours)}")
    used = queue.asynq if layout == "asynq" else queue.documented
    what = "has keys of it" if used else "has no keys yet"
    return Finding("layout", "ok", f"{layout}; queue {queue.name} {what}, and nobody consumes from it at the moment")


def _refusal(layout: LayoutName, text: str) -> Finding:
    return Finding("layout", "error", f"{text}, and {_NEVER_SEE[layout]}")


def _warning(text: str, hint: str = "") -> Finding:
    return Finding("layout", "warning", text, hint)


def named(consumers: Sequence[Consumer]) -> str:
    """Consumers of one layout, for messages."""
    names = sorted(consumer.name for consumer in consumers)
    count = len(consumers)
    shown = ", ".join(names[:3]) + (", …" if count > 3 else "")
    return f"{counted(count, 'worker')} of the {consumers[0].layout} layout ({shown})"
