"""``--layout auto``: every combination of signs, against the table of docs/doctor.md."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from loader.errors import LayoutMismatchError
from loader.preflight.choice import chosen
from loader.preflight.consumers import Consumer, Registered
from loader.preflight.layout import layout_finding
from loader.preflight.seen import Seen
from loader.preflight.usage import QueueSigns, Usage
from loader.settings import LoadOptions
from tests.unit.preflight.test_layout import BOOLS, CONSUMERS, QUEUE

BOTH = "both"


def expected_of_queue(signs: QueueSigns, living: set[str], *, names: bool) -> str:
    """The table: the first row with a sign decides."""
    contradicted = signs.documented and ("asynq elsewhere" in living or signs.listed)
    rows = [
        ("asynq here" in living, "documented here" in living),
        (signs.asynq or contradicted, signs.documented),
        (signs.listed, False),
        ("asynq elsewhere" in living, "documented elsewhere" in living),
        (names, False),
    ]
    for asynq, documented in rows:
        if asynq and documented:
            return BOTH
        if asynq or documented:
            return "asynq" if asynq else "documented"
    return "documented"


def seen(usage: Usage, names: list[str], listed: list[QueueSigns] | None = None) -> Seen:
    return Seen([], (0, 0), "loader", usage, names, listed or [], Registered(None, None, None))


def choice(options: LoadOptions, found: Seen, *, open_ended: bool = False) -> str:
    try:
        return chosen(options, found, "server", open_ended=open_ended).layout
    except LayoutMismatchError as error:
        told = str(error)
    assert {"--layout asynq", "--layout documented"} <= set(re.findall("--layout [a-z]+", told)), told
    return BOTH


def test_a_queue_is_judged_by_the_documented_table_and_the_choice_is_never_refused() -> None:
    options, needing = LoadOptions(queue="q"), LoadOptions(queue="q", retention="1h")
    for asynq, documented, listed, others in product(BOOLS, repeat=4):
        signs = QueueSigns(QUEUE, asynq, documented, waiting=3 * documented, listed=listed)
        names = [QUEUE] * listed + ["other.default"] * others
        for lives in product(BOOLS, repeat=len(CONSUMERS)):
            living = {name for name, yes in zip(CONSUMERS, lives, strict=True) if yes}
            usage = Usage([signs], [CONSUMERS[name] for name in sorted(living)])
            found = seen(usage, names)

            result = choice(options, found)
            needed = choice(needing, found)

            assert result == expected_of_queue(signs, living, names=bool(names)), (signs, living, names)
            if result == "asynq":
                assert layout_finding("asynq", usage).level != "error", (signs, living)
            if result == "documented":
                assert layout_finding("documented", usage).level != "error", (signs, living)
            shown = signs.documented or any(name.startswith("documented") for name in living)
            assert needed == (BOTH if result == "documented" and shown else "asynq"), (signs, living)


@pytest.mark.parametrize(
    ("living", "listed", "layout"),
    [
        ([], [], "documented"),
        (["asynq elsewhere"], [], "asynq"),
        (["documented elsewhere"], [QueueSigns("x", asynq=True)], "documented"),
        (["asynq elsewhere", "documented elsewhere"], [], BOTH),
        ([], [QueueSigns("x", asynq=True)], "asynq"),
        ([], [QueueSigns("x")], "asynq"),
        ([], [QueueSigns("x", documented=True)], BOTH),
    ],
)
def test_where_records_name_their_queues_the_whole_server_counts(
    living: list[str], listed: list[QueueSigns], layout: str
) -> None:
    usage = Usage([], [CONSUMERS[name] for name in living])
    found = seen(usage, [queue.name for queue in listed], listed)
    assert choice(LoadOptions(queue_field="f"), found, open_ended=True) == layout


def test_a_fallback_queue_does_not_hide_the_use_of_the_server() -> None:
    usage = Usage([QueueSigns(QUEUE, documented=True, waiting=1)], [CONSUMERS["asynq elsewhere"]])
    assert choice(LoadOptions(queue="q", queue_field="f"), seen(usage, []), open_ended=True) == BOTH


def test_queues_that_are_used_differently_contradict_each_other() -> None:
    usage = Usage([QueueSigns("a.default", asynq=True), QueueSigns("b.default", documented=True)], [])
    with pytest.raises(LayoutMismatchError) as caught:
        chosen(LoadOptions(queue="a"), seen(usage, []), "server", open_ended=False)
    assert "queue a.default has keys of the asynq layout" in str(caught.value)
    assert "queue b.default has documented keys" in str(caught.value)


def test_a_consumer_whose_queues_cannot_be_read_may_serve_any() -> None:
    usage = Usage([QueueSigns(QUEUE, documented=True)], [Consumer("host:1", "asynq", None)])
    assert choice(LoadOptions(queue="q"), seen(usage, [])) == "asynq"


@pytest.mark.parametrize(
    ("queue", "not_permitted"), [(QueueSigns(QUEUE), True), (QueueSigns(QUEUE, not_permitted=True), False)]
)
def test_nothing_is_chosen_where_the_server_does_not_tell(queue: QueueSigns, not_permitted: bool) -> None:
    found = seen(Usage([queue], [], not_permitted), [])
    with pytest.raises(LayoutMismatchError, match="the user may not read who consumes"):
        chosen(LoadOptions(queue="q"), found, "server", open_ended=False)
    assert choice(LoadOptions(queue="q", process_in="1h"), found) == "asynq"


def test_what_can_be_read_decides_although_something_cannot() -> None:
    found = seen(Usage([QueueSigns(QUEUE, asynq=True)], [], not_permitted=True), [])
    assert choice(LoadOptions(queue="q"), found) == "asynq"


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"profile": "asynq", "type": "t"}, "--profile asynq"),
        ({"task_timeout": 5}, "--task-timeout"),
        ({"header": ("a=b",)}, "--header"),
        ({"ttl_completed": 0}, "--ttl-completed"),
        ({"process_at": "2030-01-01T00:00:00Z"}, "--process-at"),
    ],
)
def test_an_option_of_one_layout_decides_and_is_named(fields: dict[str, Any], option: str) -> None:
    options = LoadOptions(queue="q", **fields)
    options.check()
    assert options.implied_layout == ("asynq", option)
    assert chosen(options, seen(Usage([], []), []), "s", open_ended=True).reason == f"{option} needs it"
    refused = seen(Usage([QueueSigns(QUEUE)], [CONSUMERS["documented here"]]), [])
    with pytest.raises(LayoutMismatchError) as caught:
        chosen(options, refused, "s", open_ended=False)
    assert f"{option} needs --layout asynq, but queue {QUEUE} is served by" in str(caught.value)
