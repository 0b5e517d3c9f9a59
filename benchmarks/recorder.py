"""Records what the loader sends, with a proxy before the server, during one load that is not measured.

So the replay sends the loader's own bytes, and nothing about the loader's code has to be assumed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import hiredis

from benchmarks.errors import WrongResultError
from benchmarks.measure import environment
from benchmarks.outcome import QUEUE
from benchmarks.server import Target

JOB = "benchmark"
"""Name of the loader's job. Ids are made from it, so all runs make the same ids."""

_CHUNK = 1 << 18
_GREETINGS = {b"AUTH", b"HELLO", b"SELECT", b"PING", b"CLIENT"}
"""The first commands of a connection, before it loads anything."""


PROGRAM = (sys.executable, "-m", "runqy_loader")
"""The tool, as the harness starts it."""


def loader_command(payloads: Path | None, url: str, batch_size: int | None, report: str, *options: str) -> list[str]:
    """The command of a load, as a user would give it.

    Args:
        payloads: The input; None if options give it.
        batch_size: None for the loader's own default.
    """
    command = [*PROGRAM, "load", *([] if payloads is None else [str(payloads)]), "--queue", QUEUE, "--job", JOB]
    command += ["--redis", url, *([] if batch_size is None else ["--batch-size", str(batch_size)]), *options]
    return [*command, "--no-progress", "--quiet", "--report", report]


@dataclass(frozen=True, slots=True)
class Recording:
    """A file of commands, and the number of replies that they must get."""

    path: Path
    replies: int


@dataclass(slots=True)
class _Stream:
    """The commands of one connection, and the number of its replies."""

    path: Path
    file: BinaryIO
    size: int = 0
    replies: int = 0
    parser: hiredis.Reader = field(default_factory=hiredis.Reader)


def record(payloads: Path, target: Target, batch_size: int, folder: Path, options: Sequence[str] = ()) -> Recording:
    """Loads the payloads once through the proxy, over one connection, and records the commands of that connection.

    Args:
        options: More options for the loader's command line.

    Raises:
        WrongResultError: The load failed.
    """
    return asyncio.run(_record(payloads, target, batch_size, folder, options))


async def _record(payloads: Path, target: Target, batch_size: int, folder: Path, options: Sequence[str]) -> Recording:
    streams: list[_Stream] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = folder / f"connection-{len(streams)}"
        with path.open("wb") as file:
            stream = _Stream(path, file)
            streams.append(stream)
            if target.socket is None:
                upstream = await asyncio.open_connection("127.0.0.1", target.port, limit=_CHUNK)
            else:
                upstream = await asyncio.open_unix_connection(target.socket, limit=_CHUNK)
            await asyncio.gather(
                _pump(reader, upstream[1], lambda data: _keep(stream, data)),
                _pump(upstream[0], writer, lambda data: _count(stream, data)),
            )

    server = await asyncio.start_server(serve, "127.0.0.1", limit=_CHUNK)
    async with server:
        port = server.sockets[0].getsockname()[1]
        url = f"redis://127.0.0.1:{port}/0"
        command = loader_command(payloads, url, batch_size, "recording.json", *options, "--workers=1")
        process = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment(), stderr=asyncio.subprocess.PIPE
        )
        _, errors = await process.communicate()
    if process.returncode != 0:
        raise WrongResultError(f"the load to be recorded failed: {errors.decode(errors='replace')[-500:]}")
    return _without_greetings(max(streams, key=lambda stream: stream.size), streams, folder)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, observe: Callable[[bytes], None]) -> None:
    try:
        while data := await reader.read(_CHUNK):
            observe(data)
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def _keep(stream: _Stream, data: bytes) -> None:
    stream.file.write(data)
    stream.size += len(data)


def _count(stream: _Stream, data: bytes) -> None:
    stream.parser.feed(data)
    while stream.parser.gets() is not False:
        stream.replies += 1


def _without_greetings(loading: _Stream, streams: list[_Stream], folder: Path) -> Recording:
    """Drops the other connections (for the lease and the job), and the first commands of the one that loads."""
    path = folder / "commands.resp"
    greetings = 0
    with loading.path.open("rb") as source, path.open("wb") as kept:
        while True:
            begin = source.tell()
            count = int(source.readline()[1:])
            words: list[bytes] = []
            for _ in range(count):
                words.append(source.read(int(source.readline()[1:])))
                source.readline()
            if words[0].upper() not in _GREETINGS:
                break
            greetings += 1
        source.seek(begin)
        while data := source.read(1 << 20):
            kept.write(data)
    for stream in streams:
        stream.path.unlink()
    return Recording(path, loading.replies - greetings)
