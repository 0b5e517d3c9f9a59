"""Queue names."""

from __future__ import annotations

import pytest

from loader.errors import QueueNameError
from loader.queues.names import resolve_queue


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("inference", "inference.default"),
        ("inference.high", "inference.high"),
        ("inference.default", "inference.default"),
        ("in-fer_ence:2/x", "in-fer_ence:2/x.default"),
        ("schnee.雪", "schnee.雪"),
    ],
)
def test_a_queue_name_gets_its_default_sub_queue_unless_it_has_one(name: str, full: str) -> None:
    assert resolve_queue(name) == full


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a.",
        ".b",
        "a..b",
        "a.b.c",
        "{a}",
        "a.b}",
        "a b",
        " a",
        "a\t",
        "a\n.b",
        "a\0",
        "a\x7f",
        "a\x85",
        "a\x9f",
    ],
)
def test_a_queue_name_that_would_break_keys_is_refused(name: str) -> None:
    with pytest.raises(QueueNameError, match="queue name"):
        resolve_queue(name)


def test_a_queue_name_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(QueueNameError):
        resolve_queue(b"caf\xe9".decode(errors="surrogateescape"))  # how such an argument reaches a program
