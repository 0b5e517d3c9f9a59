"""``--layout auto``: chooses the layout of a load by the use of its server. Writes nothing."""

from __future__ import annotations

from collections.abc import Collection

from loader.engine.targets.base import Choice
from loader.errors import LayoutMismatchError
from loader.preflight.intended import IntendedLoad
from loader.preflight.layout import layout_finding
from loader.preflight.seen import Look, Seen
from loader.preflight.signs import signs_of_use
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.tasks.profiles import LayoutName
from loader.wire.faults import translated

_LIKE_THE_GUIDE = (
    "as in runqy's guide, since no worker here and no key of the queue shows a layout; runqy's workers "
    "since January 2026 and asynq's need --layout asynq"
)


async def choose_layout(servers: Servers, options: LoadOptions, known: Collection[str] | None = None) -> Choice:
    """The layout for options whose layout is ``auto``, with the reason as text.

    It takes two round trips. The preflight uses the same answers, see ``Choice.seen``.

    Args:
        known: Full names of the queues that exist; None if they are not known.

    Raises:
        LayoutMismatchError: The signs of use contradict each other or the options, or the user may not read them.
        LoaderError: The server cannot be used as a target, or cannot be reached.
    """
    load, where = IntendedLoad(options, "", known), str(servers)
    look = Look(servers, load.queues, open_ended=load.open_ended)
    with translated(where):
        await look.first()
        look.raise_unusable()
        await look.second()
    return chosen(options, look.seen, where, open_ended=load.open_ended)


def chosen(options: LoadOptions, seen: Seen, where: str, *, open_ended: bool) -> Choice:
    """The choice for what was seen. Raises LayoutMismatchError, see ``choose_layout``."""

    def give(layout: LayoutName) -> str:
        """The options for this layout: the preflight may refuse it without ``--force-layout``."""
        listed = seen.listed if open_ended else ()
        found = layout_finding(layout, seen.usage, open_ended=open_ended, listed=listed, forced=options.force_layout)
        return f"--layout {layout}" + (" --force-layout" if found.level == "error" else "")

    signs = signs_of_use(seen.usage, seen.names, open_ended=open_ended, listed=seen.listed)
    if (needed := options.implied_layout) is not None:
        layout, option = needed
        if signs.layout in (None, layout):
            return Choice(layout, f"{option} needs it" + (f", and {signs.asynq}" if signs.asynq else ""), seen)
        raise LayoutMismatchError(
            f"{where}: {option} needs --layout asynq, but {signs.documented}",
            f"Leave out {option} and give {give('documented')}, or give {give('asynq')}",
        )
    if signs.contradict:
        raise LayoutMismatchError(
            f"{where}: the layout cannot be chosen: {signs.asynq}, but {signs.documented}",
            f"Give {give('asynq')} or {give('documented')}",
        )
    if signs.layout is not None:
        return Choice(signs.layout, signs.reason, seen)
    if seen.usage.not_permitted or any(queue.not_permitted for queue in seen.usage.queues):
        raise LayoutMismatchError(
            f"{where}: the layout cannot be chosen: the user may not read who consumes",
            f"Give {give('asynq')} or {give('documented')}; docs/reference.md has the rights that --layout auto needs",
        )
    return Choice("documented", _LIKE_THE_GUIDE, seen)
