"""Configuration files: the tables that Python's ``tomllib`` reads, or one of our errors."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path

from loader.cli.commands import COMMANDS
from loader.cli.config_file import check_table, read_config
from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.settings.check import check_declared
from loader.settings.option import declared

_FILE = Path(tempfile.mkdtemp(prefix="fuzz-config-"), "options.toml")
_MARK = b"\xef\xbb\xbf"


def seeds() -> Iterator[bytes]:
    names = [one.name.replace("_", "-") for one in declared(LoadOptions)]
    yield b""
    yield b'[load]\nqueue = "q"\nmax-errors = 7\nbatch_size = 100\n'
    yield _MARK + b'[load]\nstart-at = 2026-12-24T18:00:00Z\ntimeout = 1.5\ntask-timeout = "5m"\nquiet = true\n'
    yield b'[doctor]\nredis = "redis://h"\n[migrate]\nfrom-redis = "redis://h"\n[load.a]\nb = [1, {c = 2}]\n'
    yield b'[load]\nfrom = "sqlite:///x"\nis = 1\n'
    yield b"[load]\na = " + b"[" * 3000
    yield b"[load]\nworkers = " + b"1" * 5000
    yield b"[load]\nbatch-size = 1\nbatch_size = 2\n"
    for value in (b"1", b'"1h"', b"true", b"[]", b'["a"]', b"1e400", b"nan", b"2026-01-01", b"18:00:00"):
        yield b"[load]\n" + b"\n".join(b"%b = %b" % (name.encode(), value) for name in names)


def check(data: bytes) -> None:
    _FILE.write_bytes(data)
    try:
        expected = tomllib.loads(data.removeprefix(_MARK).decode())
    except (ValueError, RecursionError):
        expected = None
    try:
        tables = read_config(_FILE)
    except UsageError as error:
        assert "\n" not in str(error)
        assert (
            expected is None
            or not all(isinstance(table, dict) for table in expected.values())
            or not set(expected) <= set(COMMANDS)
            or any(len(set(map(_field, table))) < len(table) for table in expected.values())
        ), error
        return
    assert expected is not None
    # repr(): a nan is not equal to itself
    assert repr(tables) == repr(
        {command: {_field(key): value for key, value in table.items()} for command, table in expected.items()}
    )
    assert sum(map(len, tables.values())) == sum(map(len, expected.values())), "a value is lost"
    table = tables.get("load", {})
    try:
        check_table(_FILE, "load", table, declared(LoadOptions))
        check_declared(LoadOptions(**table))
    except UsageError as error:
        assert str(error).isprintable() or error.details, error


def _field(key: str) -> str:
    name = key.replace("-", "_")
    return f"{name}_" if iskeyword(name) else name
