"""Fixtures of the unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Server
from tests.unit.raw import Raw


@pytest.fixture
def send(valkey: Server) -> Iterator[Raw]:
    """A connection to the Valkey, for ready-made bytes."""
    raw = Raw(valkey.port)
    yield raw
    raw.close()
