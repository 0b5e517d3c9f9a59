"""Fixtures of the tests of layouts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Server


@pytest.fixture
def client(valkey: Server) -> Iterator[Any]:
    """A client of the Valkey."""
    with valkey.client() as client:
        yield client
