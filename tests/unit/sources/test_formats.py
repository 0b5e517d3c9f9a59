"""Which names there are of formats and compressions together, and what they mean."""

from __future__ import annotations

from typing import get_args

import pytest

from loader.errors import UsageError
from loader.settings import FormatName
from loader.sources.codecs.gzip import GZIP
from loader.sources.documents import DOCUMENTS
from loader.sources.formats import by_ending, by_name, said
from loader.sources.lines_source import JSON_LINES


def test_the_command_line_offers_what_is_registered() -> None:
    """Where this fails, a format or a compression is new, and FormatName in loader/settings.py lacks it."""
    assert list(get_args(FormatName)) == list(by_name())


def test_a_format_and_a_compression_make_a_name_and_endings() -> None:
    assert by_name() == {
        "jsonl": (JSON_LINES, None),
        "jsonl.gz": (JSON_LINES, GZIP),
        "json": (DOCUMENTS, None),
        "json.gz": (DOCUMENTS, GZIP),
    }
    assert list(by_ending()) == [".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".json", ".json.gz"]


@pytest.mark.parametrize("name", ["", "JSONL", "jsonl.bz2", ".gz", "csv"])
def test_a_name_that_is_none_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        said(name)
    assert str(caught.value) == (
        f'Invalid value "{name}" for --format. Choose from: "jsonl", "jsonl.gz", "json", "json.gz"'
    )
