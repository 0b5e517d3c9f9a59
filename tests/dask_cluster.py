"""A Dask cluster of real processes on this machine: a scheduler, and workers that tests may kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

import pytest
from distributed import Client, Scheduler

from tests.cli import environment
from tests.conftest import Server
from tests.faults.helpers import Load, until

START_SECONDS = 120.0
"""An upper bound; a worker takes two seconds of a quiet machine."""

_SMALL_SHARDS = """
from loader.sources import shards
from loader.engine.dask import engine
from loader.cli import main
shards.SHARD_BYTES = {size}
engine.SILENT_SECONDS = {silent}
main()
"""


@pytest.fixture
def client(valkey: Server) -> Iterator[Any]:
    """A client of an empty server."""
    with valkey.client() as client:
        client.flushall()
        yield client


class DaskCluster:
    """A scheduler and its workers, each with one thread.

    Args:
        folder: For logs, and for the file with the scheduler's address.
        settings: Of Dask's configuration, as environment variables.
    """

    def __init__(self, folder: Path, workers: int, **settings: str) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self._settings = settings
        self._count = 0
        self._names: dict[int, str] = {}
        self._wanted = workers
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self.start_scheduler()
        for _ in range(self._wanted):
            self.add_worker()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in [*self.workers, *([self.scheduler] if self.scheduler is not None else [])]:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    @property
    def address(self) -> str:
        address: str = json.loads(self._file.read_text())["address"]
        return address

    def start_scheduler(self) -> None:
        self._file.unlink(missing_ok=True)
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", "--no-dashboard"
        )
        until(lambda: self._file.exists() and self._file.read_text().endswith("}"), "the scheduler", START_SECONDS)

    def add_worker(self, **variables: str) -> subprocess.Popen[bytes]:
        """Starts another worker, with these variables in its environment; it need not be there yet."""
        self._count += 1
        worker = self._start(
            "worker", "--no-nanny", "--nthreads", "1", "--no-dashboard", "--name", f"w{self._count}",
            "--death-timeout", "60", **variables,
        )  # fmt: skip
        self.workers.append(worker)
        self._names[worker.pid] = f"w{self._count}"
        return worker

    def _start(self, what: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{what}{self._count}.log").open("wb") as log:
            return subprocess.Popen(
                [
                    sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", str(self._file),
                    *arguments,
                ],
                cwd=self._folder,
                env=environment(**self._settings | variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def kill(self, pid: int) -> None:
        """SIGKILL."""
        os.kill(pid, signal.SIGKILL)

    def retire(self, pid: int) -> None:
        """Has the scheduler retire a worker: its tasks start elsewhere at once, and run on where they are."""
        with Client(self.address, set_as_default=False) as client:
            pids = client.run(os.getpid)
            client.retire_workers([address for address, one in pids.items() if one == pid])

    def shards_on(self, pid: int) -> int:
        """How many shards a worker runs, whatever Dask knows of them."""
        with Client(self.address, set_as_default=False) as client:
            found = client.run(_shards_here, on_error="ignore")
        return next((count for one, count in found.values() if one == pid), 0)

    def tasks_of(self, pid: int) -> int:
        """How many tasks the scheduler has given to a worker."""
        with Client(self.address, set_as_default=False) as client:
            workers = client.scheduler_info(n_workers=-1)["workers"]
            given = client.processing()
        return sum(len(given.get(address, ())) for address, one in workers.items() if one["name"] == self._names[pid])

    @property
    def tasks(self) -> int:
        """How many tasks the scheduler has."""
        with Client(self.address, set_as_default=False) as client:
            return int(client.run_on_scheduler(_tasks))

    def heal(self) -> None:
        """Starts a worker for each that has ended."""
        for worker in [one for one in self.workers if one.poll() is not None]:
            self.workers.remove(worker)
        while len(self.workers) < self._wanted:
            self.add_worker()

    def make_whole(self) -> None:
        """As ``heal``, and waits until the cluster has the wanted workers, and no others."""
        with Client(self.address, set_as_default=False) as client:

            def is_whole() -> bool:
                self.heal()  # one may end only now
                found = client.run(os.getpid, on_error="ignore")
                return set(found.values()) == {worker.pid for worker in self.workers}

            until(is_whole, "a cluster with all its workers", START_SECONDS)

    def logs(self) -> str:
        """What the processes have written, for messages."""
        return "\n".join(path.read_text()[-3000:] for path in sorted(self._folder.glob("*.log")))


def _tasks(dask_scheduler: Scheduler) -> int:
    return len(dask_scheduler.tasks)


def _shards_here() -> tuple[int, int]:
    """Runs in a worker: its pid, and how many shards it runs."""
    from loader.engine.dask.host import shards_running

    return os.getpid(), shards_running()


class SmallShards(Load):
    """A load whose new jobs have shards of about so many bytes, so that a small input has many.

    Args:
        size: Bytes.
        silent: Seconds after which a silent worker is left.
        env: More variables of its environment.
    """

    def __init__(
        self,
        size: int,
        *arguments: str | Path,
        cwd: Path,
        silent: float = 30.0,
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SMALL_SHARDS.format(size=size, silent=silent), "load", *map(str, arguments)],
            cwd=cwd,
            env=environment(**env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._said = b""


def stop_process(pid: int) -> None:
    """SIGSTOP."""
    os.kill(pid, signal.SIGSTOP)


def go_on(pid: int) -> None:
    """SIGCONT."""
    os.kill(pid, signal.SIGCONT)
