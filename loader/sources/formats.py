"""The known formats, and their names and endings. A new format is one new module and one line here.

Any format can be combined with any compression: ``.jsonl`` and ``.gz`` give ``.jsonl.gz``, and ``--format jsonl.gz``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from loader.errors import UsageError
from loader.settings.option import flag_of
from loader.settings.tables import TableOptions
from loader.sources.archives.tar import TAR_ARCHIVE
from loader.sources.archives.zip import ZIP_ARCHIVE
from loader.sources.codecs.codec import Codec
from loader.sources.codecs.registry import CODECS
from loader.sources.documents import DOCUMENTS
from loader.sources.format import Format
from loader.sources.lines_source import JSON_LINES
from loader.sources.sql.query import FORMAT as SQL
from loader.sources.tables.arrow import ARROW, FEATHER
from loader.sources.tables.csv_source import CSV, TSV
from loader.sources.tables.parquet import PARQUET
from loader.sources.values_source import JSON_ARRAY, JSON_CONCAT

_ALL = (JSON_LINES, DOCUMENTS, JSON_ARRAY, JSON_CONCAT, CSV, TSV, PARQUET, ARROW, FEATHER, TAR_ARCHIVE, ZIP_ARCHIVE)

FORMATS: dict[str, Format] = {form.name: form for form in _ALL}

STDIN_FORMAT = JSON_LINES.name
"""The format of standard input without ``--format``."""

Kind = tuple[Format, Codec | None]
"""A format, and its compression or None."""


def _kinds() -> Iterator[Kind]:
    for form in FORMATS.values():
        yield form, None
        if form.compressible:
            for codec in CODECS.values():
                yield form, codec


def by_name() -> dict[str, Kind]:
    """The allowed values of ``--format``, in the order in which they are listed."""
    return {form.name + (codec.endings[0] if codec is not None else ""): (form, codec) for form, codec in _kinds()}


def plain_endings() -> list[str]:
    """The endings of file names, without those of compressions."""
    return [ending for form in FORMATS.values() for ending in form.endings]


def by_ending() -> dict[str, Kind]:
    """The known endings of file names, in the order in which they are listed."""
    return {
        ending + added: (form, codec)
        for form, codec in _kinds()
        for added in (codec.endings if codec is not None else ("",))
        for ending in form.endings
    }


def kind_named(name: str) -> Kind:
    """The format and compression of ``--format NAME``.

    Raises:
        UsageError: There is no such format.
    """
    known = by_name()
    if name not in known:
        named = ", ".join(map(repr, FORMATS))
        own = ", ".join(repr(form.name) for form in FORMATS.values() if not form.compressible)
        added = f"one of them but {own} with {_added()} added"
        raise UsageError(f"--format must be one of {named}, or {added}, not {name!r}")
    return known[name]


_OF_QUERIES = frozenset({"columns", "nan", "nulls"})


def table_options(tables: TableOptions, formats: Iterable[str]) -> dict[str, Any]:
    """The options of tables that change payloads of these formats, as a job's manifest has them.

    Args:
        formats: Names of formats; others are ignored.
    """
    known = [FORMATS[form].table_options for form in formats if form in FORMATS]
    known += [_OF_QUERIES for form in formats if form == SQL]
    return {name: value for name, value in tables.recorded().items() if any(name in options for options in known)}


def require_use(tables: TableOptions, formats: Iterable[str]) -> None:
    """Raises UsageError for an option of tables that none of these formats has a use for."""
    given = set(formats)
    used = table_options(tables, given)
    for name in [name for name in tables.recorded() if name not in used]:
        titles = [form.title for form in FORMATS.values() if name in form.table_options]
        titles += ["rows of a query"] if name in _OF_QUERIES else []
        raise UsageError(
            f"{flag_of(name)} is for {', '.join(titles)}, and no input is one of these",
            "Leave it out" if SQL in given else "Leave it out, or give --format",
        )


def format_hint() -> str:
    """The hint for a file whose name has no known ending, as one sentence."""
    first, *others, last = FORMATS
    return (
        f"Give --format {first} if each line is a JSON value; else {', '.join(others)} or {last} "
        f"(with {_added()} added if it is compressed)"
    )


def _added() -> str:
    *others, last = (codec.endings[0] for codec in CODECS.values())
    return f"{', '.join(others)} or {last}" if others else last
