"""Which names there are of formats and compressions together, and what they mean."""

from __future__ import annotations

import click
import pytest

from loader.cli.app import app
from loader.errors import UsageError
from loader.sources.codecs.gzip import GZIP
from loader.sources.documents import DOCUMENTS
from loader.sources.formats import by_ending, by_name, kind_named
from loader.sources.lines_source import JSON_LINES
from loader.sources.tables.arrow import ARROW, FEATHER
from loader.sources.tables.csv_source import CSV, TSV
from loader.sources.tables.parquet import PARQUET
from loader.sources.values_source import JSON_ARRAY, JSON_CONCAT


def load_command() -> click.Command:
    context = click.Context(app())
    _, command, _ = app().resolve_command(context, ["load"])
    assert command is not None
    return command


def test_the_command_line_offers_what_is_registered() -> None:
    command = load_command()
    (option,) = [one for one in command.params if isinstance(one, click.Option) and one.name == "format"]
    offered = option.type.shell_complete(click.Context(command), option, "")
    assert [item.value for item in offered] == list(by_name())
    for name in by_name():
        for part in name.split("."):
            assert part in (option.help or ""), "the help of --format names each format and compression"


def test_a_format_and_a_compression_make_a_name_and_endings() -> None:
    assert by_name() == {
        "jsonl": (JSON_LINES, None),
        "jsonl.gz": (JSON_LINES, GZIP),
        "json": (DOCUMENTS, None),
        "json.gz": (DOCUMENTS, GZIP),
        "json-array": (JSON_ARRAY, None),
        "json-array.gz": (JSON_ARRAY, GZIP),
        "json-concat": (JSON_CONCAT, None),
        "json-concat.gz": (JSON_CONCAT, GZIP),
        "csv": (CSV, None),
        "csv.gz": (CSV, GZIP),
        "tsv": (TSV, None),
        "tsv.gz": (TSV, GZIP),
        "parquet": (PARQUET, None),
        "arrow": (ARROW, None),
        "feather": (FEATHER, None),
    }
    assert list(by_ending()) == [
        *(".jsonl", ".ndjson", ".jsonlines"),
        *(".jsonl.gz", ".ndjson.gz", ".jsonlines.gz"),
        *(".json", ".json.gz"),
        *(".csv", ".csv.gz"),
        *(".tsv", ".tab", ".tsv.gz", ".tab.gz"),
        *(".parquet", ".pq"),
        *(".arrow", ".arrows", ".ipc", ".feather"),
    ]


@pytest.mark.parametrize("name", ["", "JSONL", "jsonl.bz2", ".gz", "xml"])
def test_a_name_that_is_none_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        kind_named(name)
    known = ", ".join(map(repr, by_name()))
    assert str(caught.value) == f"--format must be one of {known}, not {name!r}"
