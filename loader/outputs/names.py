"""What the name of a file to write says about its content. It means the same as for a file to read."""

from __future__ import annotations

from pathlib import Path

GZIP = ".gz"

REJECTS_ENDING = ".rejects.jsonl"
"""What the name of a rejects file ends in if no option gives it."""

IDS_ENDING = ".task-ids.tsv"
"""What the name of a file ends in that has the ids of one shard."""

WRITTEN = {REJECTS_ENDING: "rejects", IDS_ENDING: "ids of tasks"}
"""Files that loads write, by their ending. In a directory they are no input: the same command must find the same."""


def written_by_a_load(name: str) -> str:
    """What a file of a directory holds that a load has written, by its name; '' for another file."""
    return next((holds for ending, holds in WRITTEN.items() if name.endswith(ending)), "")


RECORDS = "records as JSON lines"
"""Content that ``load`` can read again. There, a name that ends in .json stands for one document."""

JSON_LINES = "JSON lines"
JSON = "JSON"
HTML = "HTML"
METRICS = "metrics for Prometheus"
IDS = "ids, one a line"
JOURNAL = "the journal, which is never compressed"

_OTHERS = {
    ".zst": "zstd",
    ".zstd": "zstd",
    ".xz": "xz",
    ".lzma": "LZMA",
    ".bz2": "bzip2",
    ".lz4": "LZ4",
    ".br": "Brotli",
    ".sz": "Snappy",
    ".snappy": "Snappy",
    ".z": "compress",
    ".zip": "a ZIP archive",
    ".7z": "a 7z archive",
    ".rar": "a RAR archive",
    ".tar": "a tar archive",
    ".tgz": "a tar archive",
    ".parquet": "Parquet",
    ".avro": "Avro",
    ".orc": "ORC",
    ".arrow": "Arrow",
    ".feather": "Feather",
    ".msgpack": "MessagePack",
    ".csv": "CSV",
    ".xls": "a spreadsheet",
    ".xlsx": "a spreadsheet",
    ".sqlite": "an SQLite database",
    ".sqlite3": "an SQLite database",
    ".db": "a database",
}
"""By the ending: what a name says that no output of this program is."""

_USUAL = {
    RECORDS: ".jsonl",
    JSON_LINES: ".jsonl",
    JSON: ".json",
    HTML: ".html",
    METRICS: ".prom",
    IDS: ".tsv",
    JOURNAL: ".journal",
}


def is_gzip(path: Path) -> bool:
    """Whether a file of this name is compressed with gzip."""
    return path.suffix.lower() == GZIP


def wrong_name(path: Path, content: str) -> tuple[str, str] | None:
    """The error and the hint for a name that says something else than the file will hold; None for a right name.

    Args:
        content: What the file will hold: one of the constants of this module.
    """
    said = _said(path, content)
    if said is None:
        return None
    stem = path.with_suffix("") if is_gzip(path) and content != JOURNAL else path
    plain = stem.with_suffix("")
    plain = plain.with_suffix("") if is_gzip(plain) else plain
    if plain.suffix != _USUAL[content]:
        plain = plain.with_name(plain.name + _USUAL[content])
    compressed = "" if content == JOURNAL else f", or {plain}{GZIP} for gzip"
    return f"a name that ends in {''.join(path.suffixes[-2:] if stem != path else path.suffixes[-1:])} says " + (
        f"{said}, but the file holds {content}"
    ), f"Name it {plain}{compressed}"


def _said(path: Path, content: str) -> str | None:
    if content == JOURNAL and is_gzip(path):
        return "gzip"
    inner = path.with_suffix("") if is_gzip(path) else path
    if content == RECORDS and inner.suffix.lower() == ".json":
        return "one JSON document"
    return _OTHERS.get(inner.suffix.lower())
