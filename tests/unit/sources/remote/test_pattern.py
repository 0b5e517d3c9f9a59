"""Patterns over keys mean what Python's ``glob`` makes of them on files."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.remote.pattern import compiled, folder_before, has_magic, may_lead

PARTS = ("a", "b", "ab", "a.x", ".h", "a-b", "a]b", "a[b", "!a", "^a", "ä", "a\\b")
KEYS = sorted(
    set(PARTS)
    | {f"d/{name}" for name in PARTS}
    | {f"{one}/e/{two}" for one in (".h2", "d", "dd") for two in PARTS}
    | {"d/e/f/a"}
)


@pytest.fixture(scope="module")
def tree() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        for key in KEYS:
            path = Path(folder) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        yield Path(folder)


def matched_by_glob(tree: Path, pattern: str) -> list[str]:
    found = glob.glob(pattern, root_dir=tree, recursive=True)  # noqa: PTH207 - this is what the user's shell words mean
    # Of a file, glob takes ``file/**`` for a match, with a slash after it.
    return sorted({path for path in found if not path.endswith("/") and not (tree / path).is_dir()})


PIECES = [
    "*",
    "**",
    "?",
    "a",
    "b",
    "d",
    "e",
    "x",
    ".",
    "h",
    "-",
    "[",
    "]",
    "!",
    "^",
    "[a]",
    "[!a]",
    "[a-c]",
    "[]a]",
    "[!]a]",
    "[.]",
    "\\",
    "ä",
]
# Not "." and "..": an address with such a part is refused.
PART = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join).filter(lambda part: part.strip("."))
PATTERN = st.lists(PART, min_size=1, max_size=4).map("/".join)


@given(pattern=PATTERN)
def test_it_matches_what_glob_matches(tree: Path, pattern: str) -> None:
    wanted = compiled(pattern)
    assert [key for key in KEYS if wanted.fullmatch(key)] == matched_by_glob(tree, pattern)


@given(pattern=PATTERN)
def test_all_that_matches_is_below_the_folders_that_are_listed(pattern: str) -> None:
    wanted = compiled(pattern)
    before = folder_before(pattern)
    assert not has_magic(before)
    for key in filter(wanted.fullmatch, KEYS):
        assert key.startswith(before)
        folders = [key[: index + 1] for index, mark in enumerate(key) if mark == "/"]
        assert all(may_lead(pattern, folder) for folder in folders)


def test_no_part_that_may_not_match_is_entered() -> None:
    assert not may_lead("day=*/x*.csv", "other/")
    assert may_lead("day=*/x*.csv", "day=1/")
    assert not may_lead("day=*/x*.csv", "day=1/y/")
    assert may_lead("day=*/x*.csv", "day=1/x.csv/more/")  # a folder that matches
    assert may_lead("**/a", "any/thing/")
