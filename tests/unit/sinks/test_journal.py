"""The journal: why the server refused a task is read as it was written, by this version or an earlier one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sinks.base import Delivery
from loader.sinks.http_api import refusal
from loader.sinks.journal import Journal
from loader.sources.batch import RawBatch
from loader.sources.validate import validate
from loader.tasks.reasons import Reason, ReasonCode

MANIFEST: dict[str, Any] = {"sources": [], "tasks": {}}


def delivery(number: int, skipped: dict[int, Reason]) -> Delivery:
    batch = validate(RawBatch(0, 0, [b"1"] * 5), number, 0, parsed=False)
    return Delivery(batch, "q.default", b"", [b"id"] * 5, batch.payloads, range(5), skipped=skipped)


def read(path: Path) -> dict[int, dict[int, Reason]]:
    with Journal(path, "job", MANIFEST, keep_ids=False) as journal:
        return asyncio.run(journal.state("q.default", 0)).skipped


def append(path: Path, entry: dict[str, Any]) -> None:
    """What a run wrote after the journal's header."""
    with Journal(path, "job", MANIFEST, keep_ids=False):
        pass
    with path.open("ab") as file:
        file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))


@given(st.dictionaries(st.integers(0, 4), st.builds(Reason, st.sampled_from(ReasonCode), st.text()), min_size=1))
def test_why_tasks_were_refused_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, skipped: dict[int, Reason]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    with Journal(path, "job", MANIFEST, keep_ids=False) as journal:
        journal.acknowledged(delivery(3, skipped))

    assert read(path) == {3: skipped}


def test_what_an_earlier_version_wrote_is_understood(tmp_path: Path) -> None:
    texts = {"0": "refused by the server: prompt is required", "4": "queue 'q.default' does not exist"}
    append(tmp_path / "j", {"acked": [0, "q.default", 0], "crc": 1, "refused": texts})

    assert read(tmp_path / "j") == {
        0: {0: refusal("prompt is required"), 4: Reason(ReasonCode.UNKNOWN_QUEUE, "queue 'q.default' does not exist")}
    }


def test_a_code_that_only_a_later_version_knows_keeps_its_text(tmp_path: Path) -> None:
    append(tmp_path / "j", {"acked": [0, "q.default", 0], "crc": 1, "refused": {"1": "why"}, "codes": {"1": "new"}})

    assert read(tmp_path / "j") == {0: {1: Reason(ReasonCode.UNKNOWN, "why")}}
