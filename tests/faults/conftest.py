"""Fixtures of the fault tests."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import RedisServer, Server
from tests.faults.scene import OwnScene, Scene


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """A shell has what it starts in the background ignore SIGINT, and that is inherited: by the loads as well."""
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    if ignored:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """On the embedded Valkey, or with ``EACH_SERVER`` on each kind of server in turn; the server is empty."""
    server: Server = request.getfixturevalue(getattr(request, "param", "_valkey"))
    scene = Scene(tmp_path, server)
    scene.client.flushall()
    yield scene
    scene.close()


@pytest.fixture
def own_scene(redis_server: Callable[..., RedisServer], tmp_path: Path) -> Iterator[OwnScene]:
    """Makes scenes on a redis-server of the test's own, with these options, that it may kill and start again.

    See ``RedisServer`` for its kind.
    """
    made: list[Scene] = []

    def make(*options: str, kind: str = "redis", env: Mapping[str, str] | None = None) -> tuple[Scene, RedisServer]:
        own = redis_server(*options, kind=kind, env=env)
        made.append(Scene(tmp_path, own.start()))
        return made[-1], own

    yield make
    for scene in made:
        scene.close()
