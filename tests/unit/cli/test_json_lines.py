"""Lines of the log as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from loader.cli.json_lines import JsonLines, figures

TEXT = st.text(st.characters(codec=None), max_size=50)
_FIELDS = st.dictionaries(
    st.sampled_from(["job", "code", "loaded", "queues"]),
    st.none() | st.integers(-(2**53), 2**53) | TEXT | st.dictionaries(TEXT, st.integers(0, 9), max_size=3),
)


@given(TEXT, st.sampled_from(["debug", "info", "warning"]), _FIELDS)
def test_any_text_is_one_line_of_json(text: str, level: str, fields: dict[str, Any]) -> None:
    line = JsonLines("load").line(text, level, fields)
    assert not any(char < " " or "\x7f" <= char <= "\x9f" for char in line)  # nothing that a terminal obeys
    found = json.loads(line)
    assert list(found)[:4] == ["time", "level", "message", "command"]
    assert (found["level"], found["command"]) == (level, "load")
    assert abs(datetime.fromisoformat(found["time"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert found["message"].encode(errors="replace") == text.removeprefix("runqy-loader: ").encode(
        errors="backslashreplace"
    ).decode().encode(errors="replace")
    assert set(found) - {"time", "level", "message", "command"} == {
        name for name, value in fields.items() if value is not None
    }


def test_the_name_of_the_program_is_no_part_of_a_message() -> None:
    lines = JsonLines("")
    assert json.loads(lines.line("runqy-loader: error: it broke", "error", {}))["message"] == "it broke"
    assert "command" not in json.loads(lines.line("x", "info", {}))
    assert json.loads(lines.line("runqy-loader: hello", "info", {}))["message"] == "hello"


def test_what_is_long_or_holds_records_is_left_out() -> None:
    report: dict[str, Any] = {
        "status": "completed",
        "error": None,
        "loaded": 5,
        "queues": {"a.default": 5},
        "rejected_examples": [{"record": "secret"}],
        "sources": [{"name": "a"}],
        "latency": {"unit": "ms", "p99": 1.5, "histogram": "x" * 1000},
        "pace": {"profile": "5/s", "held_seconds": {"pause": 1.0}},
        "series": {"points": []},
    }
    assert figures(report) == {
        "status": "completed",
        "error": None,
        "loaded": 5,
        "queues": {"a.default": 5},
        "latency": {"unit": "ms", "p99": 1.5},
        "pace": {"profile": "5/s"},
    }
