"""Files that hold payloads are for their owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tests.cli import run
from tests.conftest import Server


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_a_command_writes_only_its_owner_may_read(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"n":1}\nbad\n{"n":2}\n')
    before = os.umask(0o022)
    try:
        loaded = run(
            "load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--job", "j", "--ids-out", "ids",
            "--report", "r.json", cwd=tmp_path,
        )  # fmt: skip
        exported = run("export", "-q", "q", "--redis", valkey.url, "-o", "out.jsonl", cwd=tmp_path)
        zipped = run("export", "-q", "q", "--redis", valkey.url, "-o", "out.jsonl.gz", cwd=tmp_path)
        verified = run(
            "verify", "in.jsonl", "-q", "r", "--redis", valkey.url, "--differences", "d.jsonl", cwd=tmp_path
        )  # fmt: skip
        waited = run("wait", "--ids", "ids", "--redis", valkey.url, "--out", "w.jsonl", "--timeout", "0", cwd=tmp_path)
    finally:
        os.umask(before)

    assert (loaded.status, exported.status, zipped.status, verified.status, waited.status) == (3, 0, 0, 3, 4)
    written = ("ids", "r.json", "j.rejects.jsonl", "out.jsonl", "out.jsonl.gz", "d.jsonl", "w.jsonl.missing.jsonl")
    assert {name: mode(tmp_path / name) for name in written} == dict.fromkeys(written, 0o600)


def test_a_file_that_is_there_keeps_its_rights(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"n":1}\n')
    (tmp_path / "r.json").write_text("")
    (tmp_path / "r.json").chmod(0o640)

    done = run("load", "in.jsonl", "-q", "q", "--redis", valkey.url, "--report", "r.json", cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert mode(tmp_path / "r.json") == 0o640
