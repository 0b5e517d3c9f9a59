"""Counts of sources: they add up field by field, and nothing is lost on the way to another process."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from loader.jobs.counts import SourceCounts
from loader.jobs.report import LoadReport, SourceReport
from tests.unit.crossing import crossed

NAMES = [field.name for field in fields(SourceCounts)]
FIGURES = st.fixed_dictionaries({name: st.integers(0, 2**53) for name in NAMES})
COUNTS = FIGURES.map(lambda figures: SourceCounts(**figures))


@given(FIGURES, FIGURES)
def test_each_figure_is_added_and_subtracted_by_itself(first: dict[str, int], second: dict[str, int]) -> None:
    a, b = SourceCounts(**first), SourceCounts(**second)
    for name in NAMES:
        assert getattr(a + b, name) == first[name] + second[name]
        assert getattr(a - b, name) == first[name] - second[name]


@given(COUNTS, COUNTS, COUNTS)
def test_the_order_of_additions_makes_no_difference(a: SourceCounts, b: SourceCounts, c: SourceCounts) -> None:
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)


@given(COUNTS, COUNTS)
def test_a_difference_is_what_was_added(a: SourceCounts, b: SourceCounts) -> None:
    assert (a + b) - b == a
    assert a - a == SourceCounts()
    assert a + SourceCounts() == a - SourceCounts() == a


@given(st.lists(FIGURES, max_size=6))
def test_a_total_is_the_sum_of_each_figure(parts: list[dict[str, int]]) -> None:
    total = SourceCounts.total(SourceCounts(**part) for part in parts)
    assert total.by_name == {name: sum(part[name] for part in parts) for name in NAMES}


@given(COUNTS)
def test_counts_cross_processes(counts: SourceCounts) -> None:
    assert crossed(counts) == [counts, None]


@given(FIGURES, FIGURES)
def test_a_source_counts_in_place_and_what_was_taken_of_it_before_stays(
    first: dict[str, int], second: dict[str, int]
) -> None:
    source = same = SourceReport("a", "jsonl", 1, **first)
    before = source.counts

    source += SourceCounts(**second)

    assert source is same
    assert before == SourceCounts(**first)
    assert source.counts == SourceCounts(**first) + SourceCounts(**second)
    assert source.counts - before == SourceCounts(**second)


@given(st.lists(FIGURES, max_size=4))
def test_the_report_has_each_counter_of_each_source_and_their_sums(parts: list[dict[str, int]]) -> None:
    report = LoadReport("job", "documented", [SourceReport(f"{n}", "jsonl", 1, **part) for n, part in enumerate(parts)])

    found = report.to_dict()

    assert [{name: source[name] for name in NAMES} for source in found["sources"]] == parts
    for name in NAMES:
        assert found[name] == getattr(report, name) == sum(part[name] for part in parts)
