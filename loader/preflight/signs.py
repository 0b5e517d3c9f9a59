"""Weighs the signs of use of queues in either layout, for ``--layout auto``.

For a queue, the strongest signs that there are decide:

1. Running consumers of the queue.
2. Keys of the queue. Documented keys contradict consumers of other queues that read the asynq layout, and the queue's
   name in ``asynq:queues``.
3. The queue's name in ``asynq:queues``.

If no queue of the load has a sign, the server's other use decides: running consumers of other queues, and otherwise
names in ``asynq:queues``. Signs of both layouts that are equally strong contradict each other. docs/doctor.md has
these rules as a table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loader.preflight.consumers import Consumer
from loader.preflight.layout import named
from loader.preflight.usage import QueueSigns, Usage
from loader.tasks.profiles import LayoutName
from loader.tasks.sizes import counted


@dataclass(frozen=True, slots=True)
class Signs:
    """The strongest sign of each layout.

    Attributes:
        asynq: A clause for messages; empty if there is no sign.
        documented: The same for the documented layout.
    """

    asynq: str = ""
    documented: str = ""

    @property
    def layout(self) -> LayoutName | None:
        """The only layout that has a sign; None if none has one, or both have."""
        if bool(self.asynq) == bool(self.documented):
            return None
        return "asynq" if self.asynq else "documented"

    @property
    def reason(self) -> str:
        """The sign of ``layout``."""
        return self.asynq or self.documented

    @property
    def contradict(self) -> bool:
        """Whether there is a sign of each layout."""
        return bool(self.asynq and self.documented)


def signs_of_use(
    usage: Usage, names: Sequence[str], *, open_ended: bool = False, listed: Sequence[QueueSigns] = ()
) -> Signs:
    """The signs that decide the layout of a load.

    Args:
        usage: The usage of the queues that the load writes to, as far as they are known.
        names: Some of the names in ``asynq:queues``.
        open_ended: Whether records may name queues that are not known. Then the use of the whole server counts as well.
        listed: In that case, the queues in ``names`` with their keys.
    """
    found = _first(_of_queue(queue, usage) for queue in usage.queues)
    if open_ended:
        return _first([found, _of_server("queues here are served by", usage, names, listed)])
    return _of_server("other queues are served by", usage, names) if found == Signs() else found


def _first(signs: Iterable[Signs]) -> Signs:
    """The first sign of each layout."""
    asynq = documented = ""
    for one in signs:
        asynq, documented = asynq or one.asynq, documented or one.documented
    return Signs(asynq, documented)


def _of_queue(queue: QueueSigns, usage: Usage) -> Signs:
    serving = _of_consumers(f"queue {queue.name} is served by", [c for c in usage.living if c.serves(queue.name)])
    if serving != Signs():
        return serving
    in_list = f"asynq:queues names {queue.name}" if queue.listed else ""
    keys = f"queue {queue.name} has keys of the asynq layout (asynq:{{{queue.name}}}:…)" if queue.asynq else ""
    if not queue.documented:
        return Signs(asynq=keys or in_list)
    elsewhere = _of_consumers("other queues are served by", usage.living).asynq
    key = f"pending holds {counted(queue.waiting, 'task')}" if queue.waiting else "active"
    return Signs(keys or elsewhere or in_list, f"queue {queue.name} has documented keys (asynq:{queue.name}:{key})")


def _of_server(what: str, usage: Usage, names: Sequence[str], listed: Sequence[QueueSigns] = ()) -> Signs:
    living = _of_consumers(what, usage.living)
    if living != Signs():
        return living
    shown = ", ".join(names[:3]) + (", …" if len(names) > 3 else "")
    documented = [queue.name for queue in listed if queue.documented]
    return Signs(
        f"asynq:queues names queues ({shown})" if names else "",
        f"queue {documented[0]} has documented keys" if documented else "",
    )


def _of_consumers(what: str, consumers: Sequence[Consumer]) -> Signs:
    found = {layout: [c for c in consumers if c.layout == layout] for layout in ("asynq", "documented")}
    return Signs(**{layout: f"{what} {named(some)}" for layout, some in found.items() if some})
