"""Several processes of the gateway that accept from the same sockets: ``--workers``.

The parent process opens the sockets and checks Redis once, so that all workers write the same layout. It starts the
workers (``loader.gateway.worker``), tells them to stop, and replaces one that has ended on its own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import socket
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

from loader.engine.child_program import child_command, child_environment
from loader.errors import LoaderError
from loader.gateway.metrics import SHARED_DIRECTORY
from loader.gateway.target import CheckedTarget

_PAUSE_SECONDS = 1.0
"""Before a worker that has ended is replaced."""

LONGEST_TEXT = 32 * 1024
"""Characters of a worker's line for the log. An access line holds the path, which clients choose."""

_LONGEST_LINE = 48 * LONGEST_TEXT
"""Bytes: JSON writes a character in up to 12, and the path of an access line is there twice."""

_STOP = b"s"

log = logging.getLogger("runqy_loader")


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is started with.

    Attributes:
        sockets: File descriptors of the listening sockets.
        log_level: Of the gateway's log.
    """

    target: CheckedTarget
    sockets: Sequence[int]
    log_level: int


class Workers:
    """The workers, as their parent sees them.

    Args:
        ready: Called once all of them accept requests.
    """

    def __init__(self, target: CheckedTarget, listening: Sequence[socket.socket], ready: Callable[[], None]) -> None:
        self._start = Start(target, [one.fileno() for one in listening], log.level)
        self._count = target.options.workers
        self._tell_ready = ready
        self._are_ready: set[int] = set()
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._statuses: list[int] = []
        self._stops = 0

    async def run(self) -> bool:
        """Runs them until ``stop`` is called. Returns whether all requests in flight could finish.

        Raises:
            LoaderError: A worker could not begin.
        """
        with tempfile.TemporaryDirectory(prefix="runqy-loader-metrics-") as shared:
            try:
                async with asyncio.TaskGroup() as group:
                    for number in range(1, self._count + 1):
                        group.create_task(self._keep(number, Path(shared)))
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
        return not any(self._statuses)

    def stop(self) -> None:
        """Ends them in order; a second call ends them at once."""
        self._stops += 1
        for child in self._running.values():
            _tell(child)

    def _is_stopping(self) -> bool:
        return self._stops > 0

    async def _keep(self, number: int, shared: Path) -> None:
        while not self._is_stopping():
            child = await self._begin(shared)
            self._running[number] = child
            if self._is_stopping():  # meanwhile
                _tell(child)
            try:
                status = await self._follow(number, child)
            finally:
                del self._running[number]
                if child.returncode is None:
                    child.kill()
                    await child.wait()
                mark_process_dead(child.pid, str(shared))  # type: ignore[no-untyped-call]
            if self._is_stopping():
                self._statuses.append(status)
                return
            if number not in self._are_ready:
                raise LoaderError(f"worker {number} could not begin (exit status {status})")
            log.error("worker %d has ended by itself (exit status %d); starting another one", number, status)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _begin(self, shared: Path) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            *child_command("loader.gateway.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=self._start.sockets,
            limit=_LONGEST_LINE,
            env={**child_environment(), SHARED_DIRECTORY: str(shared)},
            start_new_session=True,  # Ctrl-C is for the parent, which tells the workers
        )
        assert child.stdin is not None  # noqa: S101 - asked for
        given = pickle.dumps(self._start)
        child.stdin.write(len(given).to_bytes(4, "big") + given)
        return child

    async def _follow(self, number: int, child: asyncio.subprocess.Process) -> int:
        """Reads what a worker says until it ends. Returns its exit status."""
        assert child.stdout is not None  # noqa: S101 - asked for
        async for line in child.stdout:
            said = json.loads(line)
            if "text" in said:
                log.log(said["level"], "%s", said["text"], extra={"fields": said.get("fields", {})})
            elif len(self._are_ready) < self._count:
                self._are_ready.add(number)
                if len(self._are_ready) == self._count:
                    self._tell_ready()
        return await child.wait()


def _tell(child: asyncio.subprocess.Process) -> None:
    if child.stdin is not None and not child.stdin.is_closing():
        child.stdin.write(_STOP)
