"""Inputs that expand a thousandfold and more: a load takes no more memory for them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import environment
from tests.unit.sources.codecs.made import MADE

MIB = 1 << 20
SIZE = 512 * MIB

_MEASURED = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], check=False)
unit = 1 if sys.platform == "darwin" else 1024
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit)
"""


def zstd(before: bytes = b"", after: bytes = b"") -> bytes:
    """A stream of one byte between others, in frames of 16 MiB."""
    compress = MADE["zstd"].compress
    return compress(before) + compress(b"x" * (16 * MIB)) * (SIZE // (16 * MIB)) + compress(after)


def tar(name: str) -> bytes:
    """A compressed archive with one member."""
    member = tarfile.TarInfo(name)
    member.size = SIZE
    return zstd(member.tobuf(), bytes(1024))


def zipped(name: str) -> bytes:
    file = io.BytesIO()
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w") as member,
    ):
        for _ in range(128):
            member.write(b"x" * MIB)
    return file.getvalue()


def measured(folder: Path, name: str) -> tuple[int, int]:
    """The number of rejects of a dry run, and the most memory that it took, in bytes."""
    load = [sys.executable, "-m", "runqy_loader", "load", name, "-q", "q", "--dry-run", "--max-record-bytes", "1000000"]
    load += ["--max-errors", "5", "--report", "-"]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *load],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    report, _, last = done.stdout.strip().rpartition("\n")
    assert "Traceback" not in done.stderr
    return json.loads(report)["rejected"], int(last.split()[1])


@pytest.mark.parametrize(
    ("name", "make", "rejects"),
    [
        ("lines.jsonl.zst", zstd, 1),
        ("document.json.zst", zstd, 1),
        ("lines.tar.zst", lambda: tar("a.jsonl"), 1),
        ("document.tar.zst", lambda: tar("a.json"), 1),
        ("no-input.tar.zst", lambda: tar("a.png"), 0),
        ("document.zip", lambda: zipped("a.json"), 1),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_what_expands_a_thousandfold_takes_no_more_memory(
    tmp_path: Path, name: str, make: Callable[[], bytes], rejects: int
) -> None:
    (tmp_path / "plain.jsonl").write_bytes(b"1\n")
    (tmp_path / name).write_bytes(make())
    assert (tmp_path / name).stat().st_size < MIB

    _, plain = measured(tmp_path, "plain.jsonl")
    found, peak = measured(tmp_path, name)

    assert found == rejects
    assert peak < plain + 64 * MIB
