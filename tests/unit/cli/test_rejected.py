"""The closing lines that tell why records were set aside."""

from __future__ import annotations

from loader.cli.rejected import rejected_lines
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
