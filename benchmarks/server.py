"""A server only for the harness: a free port and a socket, no persistence, and no access to the user's data."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import hiredis

from benchmarks.errors import BenchmarkError
from benchmarks.nodes import Nodes
from benchmarks.raw import Raw

_START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Target:
    """The address of the server for contestants: the socket if there is one, else the port on 127.0.0.1."""

    port: int
    socket: Path | None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0" if self.socket is None else f"unix://{self.socket}?db=0"

    @property
    def address(self) -> str:
        """HOST:PORT, or the path of the socket."""
        return f"127.0.0.1:{self.port}" if self.socket is None else str(self.socket)

    @property
    def cli_flags(self) -> list[str]:
        """The address as options of redis-cli and redis-benchmark."""
        return ["-h", "127.0.0.1", "-p", str(self.port)] if self.socket is None else ["-s", str(self.socket)]


@dataclass(frozen=True, slots=True)
class Counters:
    """CPU and received bytes of the server since its start, and the memory that it uses."""

    user_seconds: float
    system_seconds: float
    bytes_in: int
    memory_bytes: int


class Store(Protocol):
    """The server, or the cluster, that contestants load into."""

    @property
    def target(self) -> Target: ...

    def nodes(self) -> Nodes:
        """Connections for the harness itself."""
        ...

    def clear(self) -> None:
        """Deletes all data and releases the memory, so that every run begins in the same state."""
        ...

    def counters(self) -> Counters:
        """CPU and received bytes since the start, and memory, for all threads and servers together."""
        ...


class Server:
    """Use it with ``with``. See ``Store`` for its methods.

    Args:
        binary: Path of the server's program.
        unix: Whether contestants use a Unix socket instead of TCP.
        options: Further options of the server's command line.
    """

    def __init__(self, binary: str, *, unix: bool = False, options: tuple[str, ...] = ()) -> None:
        self.binary = binary
        self._options = options
        self._unix = unix
        self._directory = tempfile.TemporaryDirectory(prefix="runqy-bench-")
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        folder = Path(self._directory.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        command = [self.binary, "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--unixsocket", str(self._socket), "--save", "", "--appendonly", "no", *self._options]
        with (folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with self.connect() as client:
                    client.call("PING")
                    return self
            except (OSError, hiredis.ReplyError) as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    text = (folder / "server.log").read_text(errors="replace")[-500:]
                    self.__exit__()
                    raise BenchmarkError(f"{self.binary} does not come up: {text}") from error
                time.sleep(0.02)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()  # none of its data is kept
            self._process.wait()
            self._process = None
        self._directory.cleanup()

    @property
    def pid(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def stalled(self, after: float, seconds: float) -> Iterator[None]:
        """Stops the process for a time, while what is inside runs.

        Args:
            after: Seconds from the beginning.
        """
        process = self._process
        assert process is not None
        stop = threading.Timer(after, process.send_signal, [signal.SIGSTOP])
        go_on = threading.Timer(after + seconds, process.send_signal, [signal.SIGCONT])
        stop.start()
        go_on.start()
        try:
            yield
        finally:
            for timer in (stop, go_on):
                timer.cancel()
                timer.join()
            process.send_signal(signal.SIGCONT)

    @property
    def _socket(self) -> Path:
        return Path(self._directory.name) / "redis.sock"

    @property
    def target(self) -> Target:
        return Target(self._port, self._socket if self._unix else None)

    def connect(self) -> Raw:
        """A connection for the harness itself."""
        return Raw(self._port, self._socket)

    def nodes(self) -> Nodes:
        return Nodes([self.connect()])

    def clear(self) -> None:
        with self.connect() as client:
            client.call("FLUSHALL", "SYNC")
            client.call("MEMORY", "PURGE")

    def info(self) -> dict[str, str]:
        """All fields of INFO."""
        with self.connect() as client:
            text: str = client.call("INFO").decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def counters(self) -> Counters:
        info = self.info()
        return Counters(
            float(info["used_cpu_user"]),
            float(info["used_cpu_sys"]),
            int(info["total_net_input_bytes"]),
            int(info["used_memory"]),
        )
