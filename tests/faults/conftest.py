"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Server
from tests.faults.proxy import Proxy


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
