"""What a fault test is made of: a load that can be disturbed, and what must hold in the end."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.cli import Outcome
from tests.conftest import RedisServer, Server
from tests.faults.helpers import (
    Consumer,
    Load,
    assert_adds_up,
    assert_each_once,
    assert_tidy,
    numbered,
    task_keys,
    tasks,
)
from tests.faults.proxy import Proxy

EACH_SERVER = pytest.mark.parametrize("scene", ["_valkey", "_redis"], ids=["valkey", "redis"], indirect=True)
"""The test is run on each kind of server."""

QUEUE = "q.default"
PENDING = f"asynq:{QUEUE}:pending"


class Scene:
    """One input, one server, and loads of the one into the other.

    Attributes:
        folder: Where the input is, and where the loads run.
        server: The target.
        client: Of the server, past the proxy.
        lines: The payloads that must be in at the end.
        login: Goes into the URL of the loads: "", or "USER:PASSWORD@".
        env: Variables that are added to the environment of the loads.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        self.folder = folder
        self.server = server
        self.client: Any = server.client()
        self.lines: list[bytes] = []
        self.login = ""
        self._arguments: tuple[str | Path, ...] = ()
        self.env: Mapping[str, str] = {}
        self._consumer: Consumer | None = None

    def close(self) -> None:
        if "proxy" in self.__dict__:
            self.proxy.__exit__(None, None, None)
        self.client.close()

    @cached_property
    def proxy(self) -> Proxy:
        """Before the server. It is made when it is first asked for; from then on the loads go through it."""
        return Proxy(self.server.port).__enter__()

    # --- what is loaded -----------------------------------------------------------------------------------------

    def input(self, count: int, *options: str, width: int = 60) -> None:
        """The loads are of ``in.jsonl``, with so many payloads, and have these options."""
        self.input_of(numbered(self.folder / "in.jsonl", count, width=width), "in.jsonl", *options)

    def input_of(self, lines: Sequence[bytes], *arguments: str | Path) -> None:
        """The loads have these arguments, and these are the payloads that must be in at the end."""
        self.lines = list(lines)
        self._arguments = arguments

    # --- loads --------------------------------------------------------------------------------------------------

    def beside(
        self,
        *more: str,
        direct: bool = False,
        through: Proxy | None = None,
        database: int = 0,
        stdin: int = subprocess.DEVNULL,
        weak: bool = False,
    ) -> Load:
        """Starts a load that runs beside the test.

        Args:
            direct: Past the proxy.
            through: Another proxy.
            stdin, weak: See ``Load``.
        """
        proxy = through or (self.proxy if "proxy" in self.__dict__ and not direct else None)
        url = f"redis://{self.login}127.0.0.1:{proxy.port if proxy is not None else self.server.port}/{database}"
        target: tuple[str, ...] = ("-q", "q", "--redis", url, "--report", "-")
        if self.login:  # a user without all rights may not read what the layout is chosen by
            target += ("--layout", "documented")
        return Load(*self._arguments, *target, *more, cwd=self.folder, stdin=stdin, weak=weak, env=self.env)

    def load(self, *more: str, direct: bool = False, database: int = 0, weak: bool = False) -> Outcome:
        """A load from beginning to end."""
        with self.beside(*more, direct=direct, database=database, weak=weak) as running:
            return running.wait()

    @contextmanager
    def halted(self, commits: int, *more: str) -> Iterator[Load]:
        """A load that stands still when the block begins: so many commits have passed, and the next ones wait.

        Whatever the block does to it, the load is neither over by then nor before its first task. It goes on with
        ``proxy.go_on``.
        """
        self.proxy.halt_after(commits)
        with self.beside(*more) as running:
            self.until_halted(running)
            yield running

    def until_halted(self, running: Load) -> None:
        """Waits until the load stands still once more."""
        running.until(lambda: self.proxy.waiting, "commits wait at the proxy")

    @contextmanager
    def consumed(self) -> Iterator[Consumer]:
        """A consumer works during the block; at the end of the test, it must have had each payload once."""
        with Consumer(self.server.port, [QUEUE]) as consumer:
            self._consumer = consumer
            yield consumer

    # --- what is in the server ----------------------------------------------------------------------------------

    @property
    def pending(self) -> int:
        """How many tasks wait in the queue."""
        return int(self.client.llen(PENDING))

    @property
    def hashes(self) -> set[bytes]:
        """The keys of all tasks."""
        return task_keys(self.client)

    @property
    def loaded(self) -> list[bytes]:
        """The payloads in the queue, the last one first."""
        return [fields[b"payload"] for _, fields in tasks(self.client).get(QUEUE, [])]

    # --- what must hold -----------------------------------------------------------------------------------------

    def assert_all_in(self, *loads: Outcome, rejected: int = 0) -> None:
        """These loads were completed and say so in order, and each payload has been loaded once."""
        for outcome in loads:
            assert outcome.status == (3 if rejected else 0), outcome.stderr
            assert_tidy(outcome)
            assert_adds_up(outcome, loaded_in_all=len(self.lines), rejected=rejected)
        if self._consumer is not None:
            self._consumer.assert_each_once(self.client, self.lines)
        else:
            assert_each_once(self.client, self.lines)


OwnScene = Callable[..., tuple[Scene, RedisServer]]
"""Makes a scene on a redis-server with these options of its command line."""
