"""The closing lines that tell why records were set aside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loader.cli.rejected import cut, rejected_lines
from loader.jobs.report import LoadReport
from loader.tasks.reasons import Reason, ReasonCode


def lines(counts: dict[ReasonCode, int]) -> list[str]:
    report = LoadReport("job", "documented", [])
    for code, count in counts.items():
        for number in range(count):
            report.count_reject(Reason.of(code), f"in.jsonl:{number + 1}", b"bad")
    return rejected_lines(report)


def test_without_rejects_there_is_nothing_to_tell() -> None:
    assert lines({}) == []


def codes_of(found: list[str]) -> list[str]:
    return [line for line in found if not line.startswith("      ")]


def test_each_code_is_a_line_the_most_frequent_first() -> None:
    assert lines({ReasonCode.ID_TAKEN: 7, ReasonCode.INVALID_JSON: 1234}) == [
        "    invalid_json         1,234  not valid JSON",
        "      in.jsonl:1",
        "        bad",
        "    id_taken                 7  its task id is a task already",
        "      in.jsonl:1",
        "        bad",
    ]


def test_counts_end_where_those_of_the_summary_do() -> None:
    line, *_ = lines({ReasonCode.REFUSED_BY_SERVER: 1})
    counted = line.removesuffix("  refused by the server")
    assert counted.split() == ["refused_by_server", "1"]
    assert len(counted) == len(f"  {'rejected':<15}{1:>13,}")


def test_after_five_codes_only_how_many_more_there_are_is_told() -> None:
    every = {code: count for count, code in enumerate(ReasonCode, start=1)}
    five = dict(list(every.items())[:5])

    assert len(codes_of(lines(five))) == 5
    assert len(codes_of(lines(every))) == 6
    assert lines(every)[-1] == f"    … and {len(every) - 5} more"
    assert [line.split()[0] for line in codes_of(lines(every))[:5]] == list(reversed(every))[:5]


def test_the_three_most_frequent_kinds_have_examples_and_each_code_has_one() -> None:
    report = LoadReport("job", "documented", [])
    for count, text in ((5, "a"), (4, "b"), (3, "c"), (2, "d")):
        for _ in range(count):
            report.count_reject(Reason(ReasonCode.INVALID_JSON, f"not valid JSON: {text}"), f"in.jsonl:{text}", b"{x")
    report.count_reject(Reason(ReasonCode.TOO_LARGE, "the record is 9 bytes long"), "in.jsonl:9", b"\x1b[2J")

    assert rejected_lines(report) == [
        "    invalid_json            14  not valid JSON",
        "      5 like in.jsonl:a: a",
        "        {x",
        "      4 like in.jsonl:b: b",
        "        {x",
        "      3 like in.jsonl:c: c",
        "        {x",
        "    too_large                1  over the limit of --max-record-bytes, or of the server",
        "      in.jsonl:9: the record is 9 bytes long",
        r"        \x1b[2J",
    ]


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_line_is_wider_than_a_terminal_of_80_columns_or_tells_it_to_do_something(text: str, record: str) -> None:
    report = LoadReport("job", "documented", [])
    reason = Reason(ReasonCode.INVALID_JSON, f"not valid JSON: {text}")
    report.count_reject(reason, "in.jsonl:1", record.encode(errors="replace"))
    for line in rejected_lines(report):
        assert line.isprintable() and len(line) <= 80


def test_wide_characters_take_two_columns() -> None:
    assert cut("雪" * 10, 20) == "雪" * 10
    assert cut("雪" * 11, 20) == "雪" * 9 + "…"
    assert cut("a" * 21, 20) == "a" * 19 + "…"
