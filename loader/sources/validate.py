"""Separates valid records from invalid ones, by orjson's rules: a record is one JSON value, white space aside.

orjson refuses some texts that are JSON by RFC 8259, but that consumers do not read alike. ``any_json`` lets
them through.
"""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from isal import isal_zlib

from loader.sources.base import Place, printable
from loader.sources.batch import SHOWN_OF_OVERSIZED, RawBatch
from loader.sources.json_text import JSON_SPACE
from loader.sources.verdict import all_json
from loader.tasks.reasons import Reason, ReasonCode

_LONG_RECORD = 2048


@dataclass(frozen=True, slots=True)
class Reject:
    """One rejected record: its place, the reason, and the record itself."""

    at: Place
    why: Reason
    record: bytes

    @property
    def place(self) -> str:
        """Its source and line."""
        return self.at.text

    @property
    def described(self) -> str:
        """Its place and the reason."""
        return f"{self.place}: {self.why.text}"

    def to_json(self) -> bytes:
        """The line for the rejects file. A record that is not UTF-8 is base64, and has the field ``encoding``."""
        line: dict[str, Any] = {
            "source": printable(self.at.name),
            "line": self.at.line,
            "byte_offset": self.at.byte_offset,
            **({"place": self.at.part} if self.at.part else {}),
            "code": self.why.code,
            "reason": self.why.text,
        }
        try:
            line["record"] = self.record.decode()
        except UnicodeDecodeError:
            line["record"] = base64.b64encode(self.record).decode()
            line["encoding"] = "base64"
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class Batch:
    """A validated batch.

    Attributes:
        shard: Number of the shard that it belongs to.
        number: Number of the batch within its shard: its bit in the shard's ledger.
        source_index: Index of its source.
        raw: The raw batch, to locate records.
        kept: Index within ``raw`` of each payload; None if all records were kept.
        payloads: The valid records, byte for byte, without the white space around them.
        values: The parsed payloads, if they were requested.
        size: Bytes of all records, including rejected ones.
        checksum: CRC-32 of the batch's bytes. It shows a resume whether the input is unchanged.
        blank: The number of skipped blank lines.
        rejected: Index within ``raw`` of each rejected record, with the reason.
        id_prefix: Beginning of the ids that are generated for its records; empty until it is known.
    """

    shard: int
    number: int
    source_index: int
    raw: RawBatch
    payloads: list[bytes]
    kept: list[int] | None
    values: list[Any] | None
    size: int
    checksum: int
    blank: int = 0
    rejected: list[tuple[int, Reason]] = field(default_factory=list)
    id_prefix: bytes = b""


def validate(
    raw: RawBatch,
    number: int,
    source_index: int,
    *,
    parsed: bool,
    shard: int = 0,
    any_json: bool = False,
    limit: str = "the limit of --max-record-bytes",
) -> Batch:
    """Validates each record of a batch.

    Args:
        parsed: Whether to keep the parsed values, to take ids and queues from the records.
        any_json: Whether all that is JSON by RFC 8259 is valid.
        limit: The limit that oversized records exceed, for people; see ``RecordLimit``.
    """
    # Hot path: one C-level loop passes all lines to a parser (parsing them as one joined document was measured and is
    # not faster). Only a batch with an invalid or blank line is checked record by record.
    stripped = [record.strip(JSON_SPACE) for record in raw.records]
    for index in filter(raw.is_unwritable, raw.refused):
        stripped[index] = b""  # a resume must get the same checksum
    size = sum(map(len, stripped))
    checksum = _checksum(stripped, size)
    if not raw.oversized and not raw.refused:
        # If this does not return, _one_by_one() finds the invalid records and the reasons.
        if parsed:
            with suppress(orjson.JSONDecodeError):
                values = list(map(orjson.loads, stripped))
                return Batch(shard, number, source_index, raw, stripped, None, values, size, checksum)
        elif raw.is_json or all_json(stripped, size):
            return Batch(shard, number, source_index, raw, stripped, None, None, size, checksum)
    batch = Batch(shard, number, source_index, raw, [], [], [] if parsed else None, size, checksum)
    _one_by_one(batch, stripped, limit, any_json=any_json)
    return batch


def _checksum(records: list[bytes], size: int) -> int:
    """CRC-32 of the records, joined by line feeds. ISA-L's CRC-32 is nine times as fast as zlib's."""
    if size <= _LONG_RECORD * len(records):
        return isal_zlib.crc32(b"\n".join(records))
    # For records of about this length and more, two calls cost less than a copy: 0.95 instead of 1.5 us for 10 KB.
    checksum = isal_zlib.crc32(records[0])
    for record in records[1:]:
        checksum = isal_zlib.crc32(record, isal_zlib.crc32(b"\n", checksum))
    return checksum


def _one_by_one(batch: Batch, stripped: list[bytes], limit: str, *, any_json: bool) -> None:
    from loader.sources.explain import explain  # most loads have no rejects
    from loader.sources.unusual import unusual_value

    is_document = batch.raw.names is not None
    assert batch.kept is not None  # noqa: S101 - for the type checker
    for index, record in enumerate(stripped):
        if (length := batch.raw.oversized.get(index)) is not None:
            shown = min(SHOWN_OF_OVERSIZED, len(record))
            text = f"the record is {length} bytes long, over {limit}; only its first {shown} bytes are shown here"
            batch.rejected.append((index, Reason(ReasonCode.TOO_LARGE, text)))
            continue
        if (why := batch.raw.refused.get(index)) is not None:
            batch.rejected.append((index, why))
            continue
        if not record:
            raw = batch.raw.of_member(index)
            if raw.places is not None:  # an element is missing between two commas
                batch.rejected.append((index, Reason(ReasonCode.INVALID_JSON, "not valid JSON: there is no value")))
            elif raw.names is None:
                batch.blank += 1
            elif batch.raw.records[index]:
                batch.rejected.append((index, Reason(ReasonCode.EMPTY_FILE, "the file holds nothing but white space")))
            else:  # each record is a file, which must have a document
                batch.rejected.append((index, Reason.of(ReasonCode.EMPTY_FILE)))
            continue
        try:
            value = orjson.loads(record)
        except orjson.JSONDecodeError as error:
            value = unusual_value(record) if any_json else None
            if value is None:
                batch.rejected.append((index, explain(batch.raw.records[index], error, document=is_document)))
                continue
        batch.payloads.append(record)
        batch.kept.append(index)
        if batch.values is not None:
            batch.values.append(value)
