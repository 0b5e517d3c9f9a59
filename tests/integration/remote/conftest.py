"""Fixtures of the tests with remote input."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.remote.servers import Files, Objects, Web, s3_server, sftp_server, web_server


@pytest.fixture(scope="session")
def _s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with s3_server(tmp_path_factory.mktemp("s3")) as port:
        yield port


@pytest.fixture
def objects(_s3: int) -> Objects:
    """An empty bucket."""
    found = Objects(f"bucket-{uuid.uuid4().hex[:12]}", _s3)
    found.client().create_bucket(Bucket=found.bucket)
    return found


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    folder = tmp_path / "web"
    folder.mkdir()
    with web_server(folder) as found:
        yield found


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    folder = tmp_path / "sftp"
    folder.mkdir()
    with sftp_server(folder) as found:
        yield found
