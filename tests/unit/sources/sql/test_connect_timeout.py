"""How long a connection to PostgreSQL is waited for: what libpq's settings say, or our own limit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loader.sources.sql.postgres import connect_timeout


@pytest.mark.parametrize(
    ("service", "env", "seconds"),
    [
        ("", {}, "30"),
        ("", {"PGCONNECT_TIMEOUT": "5"}, "5"),
        ("shop", {}, "7"),
        ("shop", {"PGCONNECT_TIMEOUT": "5"}, "7"),  # as libpq has it
        ("", {"PGSERVICE": "shop"}, "7"),
        ("other", {"PGSERVICE": "shop"}, "30"),
        ("no-such", {}, "30"),  # the connection itself tells it
    ],
)
def test_the_settings_of_libpq_count_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: str, env: dict[str, str], seconds: str
) -> None:
    (tmp_path / "services").write_text("[shop]\nconnect_timeout=7\n[other]\nhost=h\n")
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    monkeypatch.delenv("PGSERVICE", raising=False)
    for name, value in {"PGSERVICEFILE": str(tmp_path / "services"), **env}.items():
        monkeypatch.setenv(name, value)

    assert connect_timeout(service) == seconds
    assert os.environ.get("PGSERVICE") == env.get("PGSERVICE")
