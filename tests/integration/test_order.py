"""One worker in one process keeps the order of the records, whichever way their tasks are written."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Server
from tests.integration.stored import payload_of, stored
from tests.integration.tool import Redis, Tool, assert_fine

BATCH = 20


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("compact", ["always", "never"])
def test_batches_with_and_without_own_options_stay_in_order(tool: Tool, db: Redis, layout: str, compact: str) -> None:
    """The former go in by one script, the latter by commands and a script after their replies."""
    records = [{"payload": {"n": n, "text": "x" * 300}} for n in range(4000)]
    own: list[dict[str, object]] = [record | {"max_retry": 9} for record in records]
    mixed = [(own if n // BATCH % 2 else records)[n] for n in range(len(records))]
    tool.write("in.jsonl", "".join(json.dumps(record) + "\n" for record in mixed))

    done = tool.load(
        "in.jsonl", "-q", "q", "-w", "1", "-b", str(BATCH), "--layout", layout, "--envelope", "--compact", compact
    )

    assert_fine(done)
    loaded = [json.loads(payload_of(fields))["n"] for _, fields in stored(db, layout, "q.default")]
    assert loaded == list(range(len(records)))
