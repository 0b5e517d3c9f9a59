"""Which names there are of formats and compressions together, and what they mean."""

from __future__ import annotations

import click
import pytest

from loader.cli.app import app
from loader.errors import UsageError
from loader.sources.archives.tar import TAR_ARCHIVE
from loader.sources.archives.zip import ZIP_ARCHIVE
from loader.sources.codecs.bzip2 import BZIP2
from loader.sources.codecs.gzip import GZIP
from loader.sources.codecs.lz4 import LZ4
from loader.sources.codecs.snappy import SNAPPY
from loader.sources.codecs.xz import XZ
from loader.sources.codecs.zstd import ZSTD
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
    codecs = {"": None, ".gz": GZIP, ".zst": ZSTD, ".xz": XZ, ".bz2": BZIP2, ".lz4": LZ4, ".sz": SNAPPY}
    assert by_name() == {
        f"{form.name}{added}": (form, codec)
        for form in (JSON_LINES, DOCUMENTS, JSON_ARRAY, JSON_CONCAT, CSV, TSV, TAR_ARCHIVE)
        for added, codec in codecs.items()
    } | {one.name: (one, None) for one in (PARQUET, ARROW, FEATHER, ZIP_ARCHIVE)}
    endings = ("", *(".gz", ".zst", ".zstd", ".xz", ".bz2", ".lz4", ".sz", ".snappy"))
    assert list(by_ending()) == [
        *(f".{name}{added}" for added in endings for name in ("jsonl", "ndjson", "jsonlines")),
        *(f".json{added}" for added in endings),
        *(f".csv{added}" for added in endings),
        *(f".{name}{added}" for added in endings for name in ("tsv", "tab")),
        *(".parquet", ".pq"),
        *(".arrow", ".arrows", ".ipc", ".feather"),
        *(f".{name}{added}" for added in endings for name in ("tar", "tgz", "tbz2", "txz", "tzst")),
        ".zip",
    ]


@pytest.mark.parametrize("name", ["", "JSONL", "jsonl.br", ".gz", "xml", "parquet.gz"])
def test_a_name_that_is_none_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        kind_named(name)
    known = "'jsonl', 'json', 'json-array', 'json-concat', 'csv', 'tsv', 'parquet', 'arrow', 'feather', 'tar', 'zip'"
    more = "one of them but 'parquet', 'arrow', 'feather', 'zip' with .gz, .zst, .xz, .bz2, .lz4 or .sz added"
    assert str(caught.value) == f"--format must be one of {known}, or {more}, not {name!r}"
