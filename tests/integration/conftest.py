"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.integration.tool import Redis, Tool


@pytest.fixture
def tool(tmp_path: Path, valkey: Server) -> Tool:
    return Tool(tmp_path, valkey.url)


@pytest.fixture
def db(valkey: Server) -> Iterator[Redis]:
    with valkey.client() as client:
        yield client
