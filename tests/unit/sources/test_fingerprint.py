"""Fingerprints: a file that is not what it was is noticed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loader.errors import SourceChangedError, SourceError
from loader.sources.fingerprint import WHOLE_BELOW, FileState, fingerprint


def of(path: Path) -> FileState:
    return fingerprint(path.name, path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"1\n2\n3\n")
    return path


def test_the_same_content_has_the_same_digest_under_any_name_and_time(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "copy.jsonl"
    other.write_bytes(file.read_bytes())
    os.utime(other, (1, 1))
    assert of(file).digest == of(other).digest
    assert of(file).size == of(other).size == 6


@pytest.mark.parametrize("content", [b"1\n2\n4\n", b"1\n2\n3", b"1\n2\n3\n\n", b""])
def test_other_content_has_another_digest(file: Path, content: bytes) -> None:
    before = of(file)
    file.write_bytes(content)
    assert of(file).digest != before.digest


def test_a_large_file_is_known_by_its_size_and_samples_from_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    size = WHOLE_BELOW + 1_000_000
    digests = set()
    for at in (0, size // 2, size - 1, None):
        with path.open("wb") as file:
            file.truncate(size)  # sparse: takes no room
            if at is not None:
                file.seek(at)
                file.write(b"x")
        digests.add(of(path).digest)
    with path.open("wb") as file:
        file.truncate(size + 1)
    digests.add(of(path).digest)
    # The one in the middle may fall between two samples; the ledger's checksums find it.
    assert len(digests) >= 4


def test_an_unchanged_file_passes_the_check(file: Path) -> None:
    of(file).check("in.jsonl", file.stat())


def test_a_file_that_has_grown_fails_the_check_with_both_sizes(file: Path) -> None:
    before = of(file)
    with file.open("ab") as end:
        end.write(b"4\n")
    with pytest.raises(SourceChangedError, match=r"in\.jsonl .*had 6 bytes, now 8"):
        before.check("in.jsonl", file.stat())


def test_a_file_rewritten_at_the_same_length_fails_the_check(file: Path) -> None:
    before = of(file)
    os.utime(file, ns=(0, before.mtime_ns + 1))
    with pytest.raises(SourceChangedError):
        before.check("in.jsonl", file.stat())


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.jsonl cannot be read: No such file"):
        of(tmp_path / "gone.jsonl")


def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(SourceError, match="not a regular file"):
        of(tmp_path / "pipe.jsonl")
