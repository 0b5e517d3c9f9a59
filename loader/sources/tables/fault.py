"""Values of typed columns that JSON does not have: marked in the text of their row, and found there again."""

from __future__ import annotations

from loader.settings.tables import NanMode
from loader.tasks.reasons import Reason, ReasonCode

FAULT = "\x01"
"""Stands around a value that JSON does not have. No JSON text has this character, so its rows are found afterwards."""

FAULT_MARK = FAULT.encode()
"""The same in a record."""

SPECIAL: dict[NanMode, dict[str, str]] = {
    "null": {},
    "string": {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'},
    "reject": {
        name: f"{FAULT}{text}{FAULT}" for name, text in (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity"))
    },
}
"""What ``--nan`` makes of numbers that JSON does not have; null if nothing is said."""


def without_faults(records: list[bytes]) -> dict[int, Reason]:
    """Makes records that have a ``FAULT`` what is shown of them. Returns why they are rejected, by index."""
    refused: dict[int, Reason] = {}
    for index, record in enumerate(records):
        if FAULT_MARK in record:
            records[index], refused[index] = fault(record)
    return refused


def fault(record: bytes) -> tuple[bytes, Reason]:
    """A record that has a value between two ``FAULT``: as it is shown, and why it is rejected."""
    value = record.split(FAULT_MARK, 2)[1].decode(errors="replace")
    return record.replace(FAULT_MARK, b""), Reason(ReasonCode.BAD_VALUE, f"JSON has no value for {value}")
