"""Fixtures of the fault tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Server
from tests.faults.proxy import Proxy


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
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before each kind of server in turn."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def valkey_proxy(valkey: Server) -> Iterator[Proxy]:
    """A proxy before the embedded Valkey, where one kind of server is enough."""
    with Proxy(valkey.port) as proxy:
        yield proxy


@pytest.fixture
def valkey_client(valkey: Server) -> Iterator[Any]:
    with valkey.client() as client:
        yield client
