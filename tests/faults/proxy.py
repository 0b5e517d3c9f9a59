"""A TCP proxy between the loader and a real server, that fails in the ways networks do."""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.fault_counts import Fault, count

T = TypeVar("T")

_NAME = re.compile(rb"runqy-loader(?:/\d+)?:[^:\r\n]+:[0-9a-f]+:([0-9a-f-]+)\.(\d+)")
_LONGEST_WORD = 16
"""Bytes, of the words that rules look for."""

_SCRIPT = re.compile(rb"(?=\$4\r\nEVAL\r\n)")

HASHES, COMMIT = b"\r\nasynq:t:", b"'LPUSH'"
"""Words of what workers send: the hashes of a batch (by HSET or RESTORE), and the script that makes it visible."""
LIST, RENEW, SLOTS = b"\r\nLIST\r\n", b"holder ~= ARGV", b"\r\nSLOTS\r\n"
"""Words of what the control connection sends: CLIENT LIST, the script that renews the lease, CLUSTER SLOTS."""

_CHUNK = 16 * 1024
_QUIET_SECONDS = 0.05


class Verdict(Enum):
    """What becomes of a piece of what the loader sent, and of its connection.

    A piece begins no more than one script: else a rule that counts commits would count several as one, or not,
    depending on how fast loader and proxy run.
    """

    PASS = auto()
    """Forwarded."""
    CUT = auto()
    """Not forwarded; the connection is reset on both sides."""
    MUTE = auto()
    """Forwarded, as all that follows; no reply comes back any more."""
    EXECUTE_AND_CUT = auto()
    """Forwarded; once the server has answered, the connection is reset without the answer."""
    HOLD = auto()
    """Neither it nor what follows is forwarded until ``Proxy.release``; the server sees no end of the connection."""
    WAIT = auto()
    """Neither it nor what follows is forwarded until ``Proxy.go_on``; then all goes on as if nothing had been."""


class Link:
    """One proxied connection.

    Attributes:
        name: The name it took, without what all of one process have in common; None before it has one.
        process: The name of the process in it: a number, or for a worker of a cluster its pid (hex), a dash and more.
        is_control: Whether single commands go over it: it asks for slots before it has a name, or for connections.
        is_worker: Whether tasks have gone over it. A control connection only names such keys, to ask for rights.
        serial: Count of connections that the proxy had accepted before.
    """

    def __init__(self, serial: int, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.serial = serial
        self.name: bytes | None = None
        self.process: bytes | None = None
        self.is_control = False
        self.is_worker = False
        self.client = client
        self.server = server
        self.muted = False
        self.held: list[bytes] | None = None
        self.waits = False
        self.answered_at = 0.0
        self._tail = b""

    def see(self, chunk: bytes) -> bytes:
        """The chunk with the end of the one before, so that a word cut in two is still found."""
        seen = self._tail + chunk
        self._tail = seen[-200:]
        asks = LIST in seen or RENEW in seen or (SLOTS in seen and self.name is None)
        self.is_control = self.is_control or asks
        carries_tasks = not self.is_control and (b"asynq:t:" in seen or b"'LPUSH'" in seen)
        self.is_worker = self.is_worker or carries_tasks
        for match in _NAME.finditer(seen):
            self.process, self.name = match[1], match[2]
        return seen[max(0, len(seen) - len(chunk) - _LONGEST_WORD + 1) :]

    def reset(self) -> None:
        for writer in (self.client, self.server):
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                # A reset rather than an orderly end (socket(7), SO_LINGER with no time).
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()


Rule = Callable[[Link, bytes], Verdict | None]
"""Looks at what the loader sends (a piece, and the end of the one before); None lets it pass."""


def nth_of_workers(word: bytes, count: int, verdict: Verdict) -> Rule:
    """The verdict for the n-th piece with this word that a worker's connection carries."""
    left = count

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal left
        if not link.is_worker or word not in chunk:
            return None
        left -= 1
        return verdict if left == 0 else None

    return rule


def from_nth(word: bytes, count: int, verdict: Verdict, concerns: Callable[[Link], bool] = lambda link: True) -> Rule:
    """The verdict for each piece with this word, on the connections that a condition holds for, from the n-th on."""
    left = count

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal left
        if word not in chunk or not concerns(link):
            return None
        left -= 1
        return verdict if left <= 0 else None

    return rule


def now_and_then(seed: int, share: float, verdict: Verdict, concerns: Callable[[Link, bytes], bool]) -> Rule:
    """The verdict for a random share of the pieces that a condition holds for."""
    draw = random.Random(seed)
    return lambda link, chunk: verdict if concerns(link, chunk) and draw.random() < share else None


class Proxy:
    """Runs in a thread of its own. Rules are called there.

    Attributes:
        latency: Seconds by which each piece of reply is delayed.
        rule: See ``Rule``.
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.latency = 0.0
        self.rule: Rule | None = None
        self.port = 0
        self._links: set[Link] = set()
        self._serial = 0
        self._gate = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._thread.start()
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._call(self._close())
        self._call(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def up(self) -> None:
        """Accepts connections (again, on the same port)."""
        self._call(self._listen())

    def down(self) -> None:
        """Refuses connections and resets the ones there are."""
        self._count_cut()
        self._call(self._close())

    def cut(self) -> None:
        """Resets all connections."""
        self._count_cut()
        self._loop.call_soon_threadsafe(self._reset_all)

    def _count_cut(self) -> None:
        """All connections at a time are one cut."""
        count(Fault.CUT, bool(self._links))

    def release(self) -> None:
        """Delivers what is held, as a network does that was stuck. Ends once the server has had time to act on it."""
        self._call(self._release())

    def halt_after(self, commits: int) -> None:
        """Lets so many commits of workers pass from here on; all further ones wait for ``go_on``."""
        self.rule = from_nth(COMMIT, commits + 1, Verdict.WAIT, lambda link: link.is_worker)

    def go_on(self, *, halt_after: int | None = None) -> None:
        """Ends all waiting. Everything passes from here on, or, if so asked, so many more commits."""
        if halt_after is None:
            self.rule = None
        else:
            self.halt_after(halt_after)
        self.let_pass()

    def let_pass(self) -> None:
        """Ends all waiting; the rule stays, and what it has wait from here on waits for the next call."""
        self._call(self._open_gate())

    def links(self) -> list[Link]:
        """The connections that are open now."""
        return list(self._links)

    @property
    def waiting(self) -> int:
        """How many connections wait for ``go_on``; one that the server has closed meanwhile is none of them."""
        return sum(link.waits and not link.client.is_closing() for link in self.links())

    # --- in the thread ------------------------------------------------------------------------------------------

    def _call(self, step: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(60)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=_CHUNK)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._reset_all()

    async def _finish(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _reset_all(self) -> None:
        for link in self._links:
            link.reset()

    async def _open_gate(self) -> None:
        self._gate.set()
        self._gate = asyncio.Event()
        for link in self._links:
            link.waits = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            self._tasks.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target_port, limit=_CHUNK)
        except OSError:
            writer.transport.abort()  # as if the server itself had refused
            return
        link = Link(self._serial, writer, to_server)
        self._serial += 1
        self._links.add(link)
        up = asyncio.create_task(self._pump_up(link, reader))
        down = asyncio.create_task(self._pump_down(link, from_server))
        try:
            await asyncio.gather(up, down)
        finally:
            up.cancel()
            down.cancel()
            self._links.discard(link)
            writer.transport.abort()
            to_server.transport.abort()

    async def _pump_up(self, link: Link, reader: asyncio.StreamReader) -> None:
        try:
            while chunk := await reader.read(_CHUNK):
                for piece in filter(None, _SCRIPT.split(chunk)):
                    if not await self._pass_up(link, piece):
                        return
            while link.held is not None:
                await asyncio.sleep(0.02)  # the server must not see that the loader has gone
            link.server.close()
        except OSError:
            if link.held is None:
                link.reset()

    async def _pass_up(self, link: Link, chunk: bytes) -> bool:
        seen = link.see(chunk)
        if link.held is not None:
            link.held.append(chunk)
            return True
        rule = self.rule  # once: the test's thread may change it at any moment
        verdict = (rule(link, seen) if rule is not None and not link.muted else None) or Verdict.PASS
        if verdict in (Verdict.CUT, Verdict.EXECUTE_AND_CUT):
            count(Fault.CUT)
        if verdict is Verdict.CUT:
            link.reset()
            return False
        if verdict is Verdict.HOLD:
            link.held = [chunk]
            return True
        if verdict is Verdict.WAIT:
            link.waits = True
            await self._gate.wait()
        if verdict in (Verdict.MUTE, Verdict.EXECUTE_AND_CUT):
            link.muted = True
        link.server.write(chunk)
        await link.server.drain()
        if verdict is Verdict.EXECUTE_AND_CUT:
            task = asyncio.create_task(self._cut_once_answered(link, time.monotonic()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    async def _cut_once_answered(self, link: Link, since: float) -> None:
        while link.answered_at < since or time.monotonic() - link.answered_at < _QUIET_SECONDS:
            await asyncio.sleep(0.01)
        link.reset()

    async def _pump_down(self, link: Link, reader: asyncio.StreamReader) -> None:
        try:
            while chunk := await reader.read(_CHUNK):
                link.answered_at = time.monotonic()
                if link.muted or link.held is not None:
                    continue
                if self.latency:
                    await asyncio.sleep(self.latency)
                link.client.write(chunk)
                await link.client.drain()
            if link.held is None:
                link.client.close()
            else:
                link.held = []  # the server has closed it: there is nobody to deliver to
        except OSError:
            if link.held is None:
                link.reset()

    async def _release(self) -> None:
        for link in list(self._links):
            if link.held is not None:
                late, link.held = link.held, None
                link.muted = True
                if not link.server.transport.is_closing():
                    link.server.write(b"".join(late))
        await asyncio.sleep(0.5)
