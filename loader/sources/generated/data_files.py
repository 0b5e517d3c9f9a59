"""Files whose fields a template takes: CSV with a header, or JSON lines. They are held in memory."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import msgspec
import orjson

from loader.errors import UsageError
from loader.sources.generated.column import insides

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class DataFiles:
    """The data files of a template, each read once.

    Args:
        folder: Their names are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[str, Sequence[dict[str, str]]] = {}
        self.digests: dict[str, str] = {}
        """By name, the digest of each file that was read."""

    def column(self, name: str, field: str) -> tuple[Sequence[str], bool]:
        """A field of all rows; see ``insides``.

        Raises:
            ValueError: There is no such file or field, for people.
        """
        if name not in self._rows:
            self._rows[name] = self._read(name)
        rows = self._rows[name]
        missing = next((number for number, row in enumerate(rows, 1) if field not in row), None)
        if missing is not None:
            there = ", ".join(list(rows[missing - 1])[:10])
            raise ValueError(f"record {missing} of {name} has no field {field!r}; it has {there}")
        return insides([row[field] for row in rows])

    def _read(self, name: str) -> Sequence[dict[str, str]]:
        path = self._folder / name
        endings = {".csv": _csv, ".jsonl": _json_lines, ".ndjson": _json_lines}
        read = endings.get(path.suffix.lower())
        if read is None:
            raise ValueError(f"{name}: a data file is CSV or JSON lines, with a name that ends in .csv or .jsonl")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}", "Data files are named relative to the template") from error
        self.digests[name] = hashlib.blake2b(content, digest_size=16).hexdigest()
        try:
            rows = read(content)
        except UnicodeDecodeError:
            raise ValueError(f"{name} is not UTF-8") from None
        except (csv.Error, ValueError) as error:
            raise ValueError(f"{name}: {error}") from None
        if not rows:
            raise ValueError(f"{name} has no records")
        return rows


def _csv(content: bytes) -> list[dict[str, str]]:
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True)
    names = next(rows, [])
    return [
        {name: orjson.dumps(value).decode() for name, value in zip(names, row, strict=False)} for row in rows if row
    ]


def _json_lines(content: bytes) -> list[dict[str, str]]:
    found = []
    for number, line in enumerate(content.decode("utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                orjson.loads(line)  # also refuses what consumers do not read alike
                found.append({name: bytes(value).decode().strip() for name, value in _decode(line).items()})
            except (ValueError, RecursionError):
                raise ValueError(f"line {number} is no JSON object that every consumer reads") from None
    return found
