"""Which layout a queue is used with: every combination of signs, against the tables of docs/doctor.md."""

from __future__ import annotations

from itertools import product

import pytest

from loader.preflight.consumers import Consumer
from loader.preflight.layout import layout_finding
from loader.preflight.usage import QueueSigns, Usage
from loader.tasks.profiles import LayoutName

QUEUE = "q.default"
HERE, ELSEWHERE = frozenset({QUEUE}), frozenset({"other.default"})
BOOLS = (False, True)

CONSUMERS = {
    "asynq here": Consumer("host:1", "asynq", HERE),
    "asynq elsewhere": Consumer("host:2", "asynq", ELSEWHERE),
    "documented here": Consumer("host:3", "documented", HERE),
    "documented elsewhere": Consumer("host:4", "documented", ELSEWHERE),
}


def level_of_documented(signs: QueueSigns, living: set[str]) -> str:
    """The first table."""
    if "asynq here" in living and "documented here" not in living:
        return "error"
    if signs.asynq and "documented here" not in living:
        return "error"
    if "documented here" in living:
        return "warning" if "asynq here" in living or signs.asynq else "ok"
    if "asynq elsewhere" in living:
        return "warning" if signs.documented else "error"
    return "warning" if signs.listed and not signs.documented else "ok"


def level_of_asynq(signs: QueueSigns, living: set[str]) -> str:
    """The second table."""
    asynq_lives = bool({"asynq here", "asynq elsewhere"} & living)
    if "documented here" in living and "asynq here" not in living and not signs.asynq:
        return "error"
    if signs.documented and not (asynq_lives or signs.asynq or signs.listed):
        return "error"
    return "warning" if signs.documented or "documented here" in living else "ok"


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_a_queue_is_judged_by_the_documented_tables(layout: LayoutName) -> None:
    table = {"documented": level_of_documented, "asynq": level_of_asynq}[layout]
    for asynq, documented, listed in product(BOOLS, repeat=3):
        signs = QueueSigns(QUEUE, asynq, documented, waiting=3 * documented, listed=listed)
        for chosen in product(BOOLS, repeat=len(CONSUMERS)):
            living = {name for name, lives in zip(CONSUMERS, chosen, strict=True) if lives}
            usage = Usage([signs], [CONSUMERS[name] for name in sorted(living)])
            expected = table(signs, living)
            assert layout_finding(layout, usage).level == expected, (signs, living)
            forced = layout_finding(layout, usage, forced=True).level
            assert forced == ("warning" if expected == "error" else expected)


def test_a_consumer_whose_queues_cannot_be_read_may_serve_any() -> None:
    usage = Usage([QueueSigns(QUEUE)], [Consumer("host:1", "asynq", None)])
    assert layout_finding("documented", usage).level == "error"


def test_the_gravest_of_several_queues_is_told() -> None:
    usage = Usage([QueueSigns("a.default"), QueueSigns("b.default", asynq=True)], [])
    found = layout_finding("documented", usage)
    assert (found.level, "queue b.default has keys of the asynq layout" in found.text) == ("error", True)


@pytest.mark.parametrize(
    ("layout", "living", "listed", "level"),
    [
        ("documented", ["asynq elsewhere"], [], "error"),
        ("documented", ["asynq elsewhere", "documented elsewhere"], [], "warning"),
        ("documented", ["documented elsewhere"], [QueueSigns("x.default", asynq=True)], "ok"),
        ("documented", [], [QueueSigns("x.default", asynq=True)], "warning"),
        ("documented", [], [QueueSigns("x.default", documented=True)], "ok"),
        ("asynq", ["documented elsewhere"], [], "error"),
        ("asynq", [], [QueueSigns("x.default", documented=True)], "warning"),
    ],
)
def test_where_records_may_name_any_queue_all_consumers_count(
    layout: LayoutName, living: list[str], listed: list[QueueSigns], level: str
) -> None:
    usage = Usage([], [CONSUMERS[name] for name in living])
    assert layout_finding(layout, usage, open_ended=True, listed=listed).level == level


@pytest.mark.parametrize(
    "usage", [Usage([QueueSigns(QUEUE)], [], not_permitted=True), Usage([QueueSigns(QUEUE, not_permitted=True)], [])]
)
def test_where_the_server_refuses_to_tell_nothing_is_known(usage: Usage) -> None:
    assert layout_finding("documented", usage).level == "unknown"


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--layout", "Use --layout documented, or give --force-layout"),
        ("--to-layout", "Use --to-layout documented, or give --force-layout"),
        (None, "First start workers that read the asynq layout, or give --force-layout"),
    ],
)
def test_a_refusal_says_what_to_do(option: str | None, words: str) -> None:
    usage = Usage([QueueSigns(QUEUE)], [CONSUMERS["documented here"]])
    assert words in layout_finding("asynq", usage, option=option).hint


def test_keys_of_the_layout_that_a_migration_leaves_tell_nothing() -> None:
    usage = Usage([QueueSigns(QUEUE, asynq=True, documented=True, waiting=5)], [])
    assert usage.without("asynq").queues == [QueueSigns(QUEUE, documented=True, waiting=5)]
    assert usage.without("documented").queues == [QueueSigns(QUEUE, asynq=True)]
    assert usage.without(None) == usage
