"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.integration.tool import Redis, Tool


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load within the test's own process writes next to where it runs, for example its rejects."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def target(valkey: Server) -> Server:
    """The server that ``tool`` loads into. Where one kind is not enough, a module has a fixture of this name."""
    return valkey


@pytest.fixture
def tool(tmp_path: Path, target: Server) -> Tool:
    return Tool(tmp_path, target.url)


@pytest.fixture
def db(target: Server) -> Iterator[Redis]:
    with target.client() as client:
        yield client
