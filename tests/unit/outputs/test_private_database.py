"""Rows in a private temporary database, also where it finds no room."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from loader.errors import LoaderError
from loader.outputs import private_database
from loader.outputs.private_database import PrivateDatabase


@pytest.fixture
def no_large_files() -> Iterator[None]:
    """No file of this process may grow beyond 256 KiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_rows_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_database, "_CACHE_KIB", 64)
    database = PrivateDatabase()
    database.run("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
    rows = [(f"{number:05}",) for number in range(20_000)]
    assert database.many("INSERT OR IGNORE INTO ids VALUES (?)", rows) == 20_000
    assert database.many("INSERT OR IGNORE INTO ids VALUES (?)", rows[:5]) == 0
    assert database.many("INSERT INTO ids VALUES (?)", []) == 0
    assert list(database.rows("SELECT id FROM ids WHERE id >= ?", ("00010",))) == rows[10:]
    database.close()


def test_no_room_is_told(monkeypatch: pytest.MonkeyPatch, no_large_files: None) -> None:
    monkeypatch.setattr(private_database, "_CACHE_KIB", 64)
    database = PrivateDatabase()
    database.run("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
    rows = [(f"{number:050}",) for number in range(20_000)]  # 1 MB
    with pytest.raises(LoaderError, match=r"^ids cannot be set aside in .*TMPDIR"):
        database.many("INSERT INTO ids VALUES (?)", rows)
    database.close()
