"""Runs the gateway: opens its sockets, checks Redis, and serves in this process or in several."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable

from loader.engine.loop import on_stop_signals
from loader.extras import require
from loader.gateway.keys import ApiKeys
from loader.gateway.listening import listen, passed_sockets, url
from loader.gateway.options import ServeOptions
from loader.gateway.queue_check import configured
from loader.gateway.serving import Serving, keys_of
from loader.gateway.target import check_target
from loader.gateway.workers import Workers
from loader.settings.server_address import server_address

log = logging.getLogger("runqy_loader")


async def serve(options: ServeOptions, notify: Callable[[str], None]) -> bool:
    """Serves until SIGINT or SIGTERM, then lets requests in flight finish.

    Args:
        notify: Shows a line to the user.

    Returns:
        Whether the requests in flight could finish; False after a second signal.

    Raises:
        UsageError: The options cannot be used, the port is taken, or an extra that is needed is not installed.
        LoaderError: Redis cannot be reached or used; see ``check_target``.
    """
    options.check()
    if options.queues_file is not None:
        require("yaml", "--queues-file")
    keys = keys_of(options)
    address = server_address(options)
    known = configured(options.queues_file)
    with contextlib.ExitStack() as closing:
        listening = passed_sockets(os.environ) or listen(options.host, options.port)
        for one in listening:
            closing.callback(one.close)
        target = await check_target(options, address, known)

        def ready() -> None:
            places = " and ".join(map(url, listening))
            notify(f"serving {target.options.layout} tasks to {address} at {places}{_notes(options, keys)}")

        serving = Serving(target, listening) if options.workers == 1 else None
        workers = Workers(target, listening, ready) if serving is None else None
        stops = 0

        def stop() -> None:
            nonlocal stops
            stops += 1
            for one in (serving, workers):  # first of all: what comes after it may fail, and is not called again
                if one is not None:
                    one.stop()
            if stops == 1:
                notify("stopping: finishing requests in flight (signal again to stop at once)")

        on_stop_signals(stop)
        if serving is not None:
            return await serving.run(ready)
        assert workers is not None  # noqa: S101 - one of the two
        return await workers.run()


def _notes(options: ServeOptions, keys: ApiKeys) -> str:
    """What a user should know about the options, in a few words."""
    notes = []
    if options.workers > 1:
        notes.append(f"{options.workers} workers")
    if not keys.needed:
        notes.append("no API key is required")
    if options.queues_file is None and options.queue_check == "none":
        notes.append("every queue name is accepted, unless --queues-file is given")
    return f" ({'; '.join(notes)})" if notes else ""
