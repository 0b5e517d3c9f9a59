"""What processes tell each other: their counts add up to the whole load's, whenever each of them speaks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

from hypothesis import given
from hypothesis import strategies as st

from loader.engine.messages import Counts, Tally
from loader.jobs.counts import SourceCounts
from loader.jobs.reject_kinds import Example, Kind, RejectKinds
from loader.jobs.report import LoadReport, SkippedFile, SourceReport
from loader.tasks.reasons import Reason, ReasonCode
from tests.unit.crossing import crossed

SOURCES = 3
QUEUES = ["a.default", "b.default"]

FIGURES = st.fixed_dictionaries({field.name: st.integers(0, 1000) for field in fields(SourceCounts)}).map(
    lambda figures: SourceCounts(**figures)
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one process does until it tells its counts the next time."""

    process: int
    source: int
    counts: SourceCounts
    queue: str
    pushed: int
    codes: dict[ReasonCode, int] = field(default_factory=dict)
    batches: int = 0
    valid: int = 0
    peak: int = 0
    skipped: int = 0


STEPS = st.builds(
    Step,
    st.integers(0, 2),
    st.integers(0, SOURCES - 1),
    FIGURES,
    st.sampled_from(QUEUES),
    st.integers(0, 1000),
    st.dictionaries(st.sampled_from(ReasonCode), st.integers(1, 50), max_size=3),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 10**9),
    st.integers(0, 3),
)


@dataclass(slots=True)
class Process:
    """A process's counts since its start."""

    sources: dict[int, SourceCounts] = field(default_factory=dict)
    queues: Counter[str] = field(default_factory=Counter)
    codes: Counter[ReasonCode] = field(default_factory=Counter)
    batches: int = 0
    valid: int = 0
    skipped: list[SkippedFile] = field(default_factory=list)

    def told(self, step: Step) -> Counts:
        self.sources[step.source] = self.sources.get(step.source, SourceCounts()) + step.counts
        self.queues[step.queue] += step.pushed
        self.codes.update(step.codes)
        self.batches += step.batches
        self.valid += step.valid
        self.skipped += [SkippedFile(f"{number}.gz", "is damaged", number) for number in range(step.skipped)]
        changed = {step.source: self.sources[step.source]}
        return Counts(
            sources=changed,
            queues=dict(self.queues),
            rejected_by_code=Counter(self.codes),
            kinds=RejectKinds(
                Counter({Kind(code, ""): count for code, count in self.codes.items()}),
                {Kind(code, ""): Example("in:1", Reason.of(code), "r") for code in self.codes},
            ),
            batches=self.batches,
            compact=self.batches,
            valid=self.valid,
            waiting=0,
            rejects_file=None,
            skipped_files=list(self.skipped),
            last_reject="",
            peak_rss_bytes=step.peak,
        )


@given(st.lists(STEPS, max_size=30))
def test_the_counts_of_processes_add_up_whenever_each_of_them_tells_them(steps: list[Step]) -> None:
    report = LoadReport("job", "documented", [SourceReport(f"{n}", "jsonl", 1) for n in range(SOURCES)])
    tallies = [Tally(report) for _ in range(3)]
    processes = [Process() for _ in range(3)]

    for step in steps:
        tallies[step.process].add(processes[step.process].told(step))

    for number, source in enumerate(report.sources):
        assert source.counts == SourceCounts.total(step.counts for step in steps if step.source == number)
    for queue in QUEUES:
        assert report.queues.get(queue, 0) == sum(step.pushed for step in steps if step.queue == queue)
    for code in ReasonCode:
        assert report.kinds.counts[Kind(code, "")] == report.rejected_by_code[code]
        assert report.rejected_by_code[code] == sum(step.codes.get(code, 0) for step in steps)
    assert report.batches == sum(step.batches for step in steps)
    assert report.valid == sum(step.valid for step in steps)
    assert len(report.skipped_files) == sum(step.skipped for step in steps)
    assert report.peak_child_rss_bytes == max((step.peak for step in steps), default=0)


@given(st.lists(STEPS, max_size=5))
def test_messages_arrive_as_they_were_sent_and_then_comes_the_end(steps: list[Step]) -> None:
    process = Process()
    sent = [process.told(step) for step in steps]

    assert crossed(*sent) == [*sent, None]
