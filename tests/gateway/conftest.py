"""Gateways for the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.gateway.helpers import KEY_ENV, QUEUES, Gateway

Start = Callable[..., Gateway]


@pytest.fixture
def queues_file(tmp_path: Path) -> Path:
    """A queue configuration: inference with sub-queues, and simple."""
    path = tmp_path / "queues.yaml"
    path.write_text(QUEUES)
    return path


@pytest.fixture
def start(tmp_path: Path, queues_file: Path) -> Iterator[Start]:
    """Starts gateways on a Redis URL, with the tests' keys and queues; all are gone at the end."""
    with ExitStack() as running:

        def begin(url: str, *arguments: str | Path) -> Gateway:
            usual = ("--redis", url, "--api-key-env", KEY_ENV, "--queues-file", queues_file)
            return running.enter_context(Gateway(*usual, *arguments, cwd=tmp_path))

        yield begin


@pytest.fixture
def gateway(server: Server, start: Start) -> Gateway:
    """A gateway in the documented layout, on each kind of server in turn."""
    return start(server.url)


@pytest.fixture
def asynq_gateway(server: Server, start: Start) -> Gateway:
    """A gateway in the asynq layout, on each kind of server in turn."""
    return start(server.url, "--layout", "asynq")
