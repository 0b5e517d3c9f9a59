"""Which inputs need no estimate: a few bytes are enough for much, if they are compressed."""

from __future__ import annotations

import asyncio
import bz2
import gzip
from pathlib import Path
from typing import Any

import pytest

from loader.preflight.small import surely_fits
from loader.settings import LoadOptions
from loader.sources.open_sources import open_sources

LINES = b"1\n" * 20_000


@pytest.mark.parametrize(
    ("name", "stored", "fits"),
    [
        ("a.jsonl", LINES, True),
        ("a.jsonl.gz", gzip.compress(LINES, mtime=0), False),
        ("under-its-name.jsonl", gzip.compress(LINES, mtime=0), False),
        ("a.json.gz", gzip.compress(b"1", mtime=0), True),
        ("a.csv", b"n\n1\n", False),
        ("a.json.bz2", bz2.compress(b"1"), False),
    ],
    ids=["lines", "gzip", "gzip under another name", "little gzip", "bzip2", "CSV"],
)
def test_a_compressed_input_counts_for_what_may_be_in_it(tmp_path: Path, name: str, stored: bytes, fits: bool) -> None:
    (tmp_path / name).write_bytes(stored)
    sources = asyncio.run(open_sources(str(tmp_path / name), None))
    assert surely_fits(sources, LoadOptions(queue="q"), room=30 << 20) is fits


@pytest.mark.parametrize("shape", [{"select": "[@, @]"}, {"set": ("a=@",)}])
def test_a_payload_that_an_option_makes_may_be_longer_than_its_record(tmp_path: Path, shape: dict[str, Any]) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINES)
    sources = asyncio.run(open_sources(str(tmp_path / "a.jsonl"), None))
    assert not surely_fits(sources, LoadOptions(queue="q", **shape), room=30 << 20)
