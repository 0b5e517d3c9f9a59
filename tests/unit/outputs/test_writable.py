"""Whether a file can be written, found out without a trace."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loader.outputs.writable import why_unwritable


def test_a_file_that_exists_keeps_its_content_and_one_that_does_not_is_not_left_behind(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("content")
    (tmp_path / "link").symlink_to("target")

    assert [why_unwritable(tmp_path / name) for name in ("there", "new", "link")] == [None, None, None]

    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]
    assert (tmp_path / "there").read_text() == "content"
    assert (tmp_path / "link").is_symlink()


def test_a_pipe_and_a_device_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert why_unwritable(tmp_path / "pipe") is None
    assert why_unwritable(Path("/dev/null")) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".", "Is a directory"),
        ("no/file", "No such file or directory"),
        ("there/file", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_cannot_be_written_is_told_with_the_reason(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "there").write_text("content")
    (tmp_path / "loop").symlink_to("loop")

    error = why_unwritable(tmp_path / name)

    assert error is not None
    assert error.strerror == reason
