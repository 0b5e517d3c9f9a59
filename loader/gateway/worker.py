"""A worker of the gateway: ``python -m loader.gateway.worker``. See ``loader.gateway.workers``."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import pickle
import signal
import socket
import sys

from loader.engine.loop import loop_factory
from loader.engine.tuning import tune_process
from loader.errors import LoaderError
from loader.gateway.serving import Serving
from loader.gateway.workers import LONGEST_TEXT, Start
from loader.log_fields import fields_of

_INTERRUPTED = 130
_FAILED = 1


class _ToParent(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        found = {"level": record.levelno, "text": self.format(record)[:LONGEST_TEXT]}
        if fields := fields_of(record):
            found["fields"] = {
                name: one[:LONGEST_TEXT] if isinstance(one, str) else one for name, one in fields.items()
            }
        _say(found)


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)


async def _run(start: Start) -> int:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    sockets = [socket.socket(fileno=number) for number in start.sockets]
    serving = Serving(start.target, sockets)
    obeying = asyncio.create_task(_obey(reader, serving))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _stop_once, serving)
    try:
        return 0 if await serving.run(lambda: _say({"ready": True})) else _INTERRUPTED
    finally:
        obeying.cancel()


async def _obey(reader: asyncio.StreamReader, serving: Serving) -> None:
    """Stops when the parent says so, or is gone; at once when it says so again."""
    if await reader.read(1):
        _stop_once(serving)
        while await reader.read(1):
            serving.stop()
    _stop_once(serving)


def _stop_once(serving: Serving) -> None:
    """Stops, if it does not already: a service manager signals all processes, and the parent tells this one as well."""
    if not serving.is_stopping:
        serving.stop()


def main() -> int:
    """Serves until the parent says that it is enough. Returns the exit status."""
    # From the file, without Python's buffer: what the parent says later is read by the event loop.
    length = int.from_bytes(os.read(0, 4), "big")
    given = b""
    while len(given) < length:
        given += os.read(0, length - len(given))
    start: Start = pickle.loads(given)  # noqa: S301 - from the parent
    log = logging.getLogger("runqy_loader")
    log.setLevel(start.log_level)
    log.propagate = False
    log.handlers[:] = [_ToParent()]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune_process()
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            return runner.run(_run(start))
    except LoaderError as error:
        log.error("%s", error)  # noqa: TRY400 - no traceback for users
        return _FAILED


if __name__ == "__main__":
    sys.exit(main())
