"""A queue that nobody serves, while workers serve one of nearly the same name."""

from __future__ import annotations

from typing import Any

import pytest

from loader.preflight.consumers import Consumer
from loader.preflight.intended import IntendedLoad
from loader.preflight.queue_name import name_finding
from loader.preflight.usage import QueueSigns, Usage
from loader.settings import LoadOptions

PLAIN = {"profile": "asynq", "type": "t"}


def load(known: set[str] | None = None, **fields: Any) -> IntendedLoad:
    return IntendedLoad(LoadOptions(**{"layout": "asynq", **fields}), "job", known)


def usage(load: IntendedLoad, *served: str, layout: Any = "asynq", **signs: bool) -> Usage:
    queues = [QueueSigns(queue, **signs) for queue in load.queues]
    return Usage(queues, [Consumer("host:1", layout, frozenset(served))] if served else [])


@pytest.mark.parametrize(
    ("fields", "served", "hint"),
    [
        ({"queue": "mail"}, "mail", "--profile asynq if mail is the whole name, or write mail.default"),
        ({"queue": "mail", **PLAIN}, "mail.default", "--queue mail.default, or --force-queue"),
        ({"queue": "mial"}, "mail.default", "--queue mail.default, or --force-queue"),
        ({"queue": "mail.hihg"}, "mail.high", "--queue mail.high, or --force-queue"),
        ({"queue": "Mail"}, "mail.default", "--queue mail.default, or --force-queue"),
        ({"queue": "mail"}, "MAIL.DEFAULT", "--queue MAIL.DEFAULT, or --force-queue"),
        ({"queue": "mails"}, "mail", "--queue mail --profile asynq, or --force-queue"),
        ({"queue": "mails", **PLAIN}, "mail", "--queue mail, or --force-queue"),
        ({"queue": "a.b.c", **PLAIN}, "a.b.cc", "--queue a.b.cc, or --force-queue"),
        ({"queue": "mail", "layout": "documented"}, "mails.default", "--queue mails.default, or --force-queue"),
    ],
)
def test_a_name_that_workers_know_in_another_form_is_refused_and_the_right_one_is_told(
    fields: dict[str, Any], served: str, hint: str
) -> None:
    layout = fields.get("layout", "asynq")
    found = name_finding(load(**fields), usage(load(**fields), served, layout=layout))
    forced = name_finding(load(**fields, force_queue=True), usage(load(**fields), served, layout=layout))
    assert found is not None and forced is not None
    assert (found.name, found.level) == ("queue_name", "error")
    assert hint in found.hint
    assert served in found.text and "host:1" in found.text
    assert (forced.level, "--force-queue" in forced.text) == ("warning", True)


@pytest.mark.parametrize(
    ("fields", "served", "signs"),
    [
        ({"queue": "mail"}, ["mail.default", "mail"], {}),  # it is served
        ({"queue": "mail.default"}, ["mail"], {}),  # the whole name is given
        ({"queue": "mail"}, ["bills", "main.high"], {}),
        ({"queue": "mail"}, [], {}),
        ({"queue": "mial"}, ["mail.default"], {"asynq": True}),  # it is in use
        ({"queue": "mial"}, ["mail.default"], {"documented": True}),
        ({"queue": "mial"}, ["mail.default"], {"listed": True}),
        ({"queue": "shard-1"}, ["shard-2.default"], {}),  # numbered on purpose
        ({"queue": "shard"}, ["shard2.default"], {}),
        ({"queue": "eu"}, ["us.default", "es.default"], {}),  # too short to tell
    ],
)
def test_other_names_are_fine(fields: dict[str, Any], served: list[str], signs: dict[str, bool]) -> None:
    assert name_finding(load(**fields), usage(load(**fields), *served, **signs)) is None


def test_a_queue_that_is_configured_is_no_typing_error() -> None:
    known = load({"mial.default"}, queue="mial")
    assert name_finding(known, usage(known, "mail.default")) is None


def test_a_consumer_whose_queues_cannot_be_read_may_serve_any() -> None:
    some = load(queue="mial")
    both = [Consumer("host:1", "asynq", frozenset({"mail.default"})), Consumer("host:2", "asynq", None)]
    assert name_finding(some, Usage([QueueSigns("mial.default")], both)) is None


def test_workers_of_the_other_layout_tell_nothing_about_the_name() -> None:
    some = load(queue="mial")
    assert name_finding(some, usage(some, "mail.default", layout="documented")) is None


def test_queues_that_records_may_name_are_only_warned_of() -> None:
    some = load({"mial.default", "bills.default"}, queue_field="to")
    found = name_finding(some, usage(some, "mail.default"))
    assert found is not None
    assert (found.level, "mial.default (workers serve mail.default)" in found.text) == ("warning", True)
