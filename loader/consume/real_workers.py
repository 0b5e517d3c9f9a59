"""Whether real workers serve a queue: their tasks are not for a consumer that executes nothing."""

from __future__ import annotations

import time

from loader.errors import LoaderError
from loader.preflight.ask import ask
from loader.preflight.consumers import MOST, REGISTERED, Consumer, living
from loader.preflight.server import CLOCK
from loader.servers.session import Session
from loader.tasks.profiles import LayoutName

_TAKE_ALL_THE_SAME = "Stop them, or name another queue; --with-workers takes tasks all the same, without executing them"


async def consumers_of(session: Session, queue: str, layout: LayoutName) -> list[Consumer]:
    """The running consumers of a queue in a layout, synthetic ones too.

    Raises:
        LoaderError: It cannot be told, or the server is gone.
    """

    async def look() -> list[Consumer]:
        servers = session.servers
        first = await ask(servers, REGISTERED, CLOCK)
        first.raise_transient(str(session.address))
        registered = first[REGISTERED]
        if registered.not_permitted:
            raise LoaderError(
                f"{session.address}: the user may not read asynq:servers and asynq:workers, so it cannot be told "
                "whether real workers serve the queue",
                "Have the ACL extended (see docs/reference.md), or give --with-workers",
            )
        candidates = registered.candidates(first[CLOCK] or time.time())
        if len(candidates) >= MOST:
            raise LoaderError(
                f"{session.address}: {MOST} workers or more are registered, too many to look at each of them",
                "Use another server or database, or give --with-workers",
            )
        question = living(candidates)
        second = await ask(servers, question)
        second.raise_transient(str(session.address))
        return [one for one in second[question] if one.layout == layout and one.serves(queue)]

    return await session.repeat(look)


async def refuse_real_workers(session: Session, queue: str, layout: LayoutName) -> None:
    """Raises LoaderError if real workers serve a queue, or may do so."""
    real = [one.name for one in await consumers_of(session, queue, layout) if not one.synthetic]
    if real:
        named = ", ".join(real[:3]) + (", …" if len(real) > 3 else "")
        serve = "a worker serves" if len(real) == 1 else f"{len(real)} workers serve"
        raise LoaderError(f"{session.address}: {serve} queue {queue}: {named}", _TAKE_ALL_THE_SAME)
