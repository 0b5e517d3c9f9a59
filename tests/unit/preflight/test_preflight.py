"""Judgements of the preflight that no server of the tests can be brought to, and how it reads what consumers write."""

from __future__ import annotations

from typing import Any

import pytest

from loader.preflight import server
from loader.preflight.consumers import server_queues, worker_queues
from loader.preflight.estimate import Estimate, compared
from loader.tasks.sizes import in_bytes
from tests.consumers import server_info


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ({"redis_version": "3.2.12"}, "error"),
        ({"redis_version": "4.0.0"}, "ok"),
        ({"redis_version": 7.2}, "ok"),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, "ok"),
        ({}, "unknown"),
    ],
)
def test_a_server_that_does_not_know_the_commands_is_refused(version: dict[str, Any], level: str) -> None:
    assert server.version(version).level == level


def test_a_sentinel_is_refused() -> None:
    found = server.role({"redis_mode": "sentinel"})
    assert (found.level, found.hint) == (
        "error",
        "Have it name the primary: redis+sentinel://HOST:PORT/SERVICE, or give --redis the primary's address",
    )


@pytest.mark.parametrize(
    ("told", "level", "words"),
    [
        ((1000, 500_000), "ok", "within"),
        ((1001, 600_000), "ok", "within"),  # it may have been read at the very end
        ((1008, 0), "warning", "7.5 s ahead of"),
        ((990, 250_000), "warning", "10.2 s behind"),
        (ValueError(), "unknown", "TIME"),
    ],
)
def test_a_clock_that_differs_by_more_than_the_question_took_is_warned_of(told: object, level: str, words: str) -> None:
    found = server.clock(1000.0, 1001.0, told)
    assert found.level == level
    assert words in found.text


@pytest.mark.parametrize("field", ["rdb_last_bgsave_status", "aof_last_write_status"])
def test_a_server_that_could_not_save_is_warned_of(field: str) -> None:
    assert server.persistence({"aof_enabled": 1, field: "err"}, []).level == "warning"


def test_nothing_is_known_where_info_is_refused() -> None:
    assert {found.level for found in server.server_findings(PermissionError(), [], temporary=False)} == {"unknown"}


def test_the_queues_of_a_server_of_asynqs_are_read() -> None:
    assert server_queues(server_info("q.default", "x" * 100)) == frozenset(["q.default", "x" * 100])
    assert server_queues(server_info()) == frozenset()


@pytest.mark.parametrize("broken", [b"\x2a", b"\x2a\xff", b"\x2a\x05\x0a\x01", b"\x2a\x03\x0a\x01\xff", b"\x0b\x00"])
def test_what_is_no_server_info_tells_no_queues(broken: bytes) -> None:
    assert server_queues(broken) is None


@pytest.mark.parametrize(
    ("text", "queues"),
    [
        ("map[inference.default:1 simple.default:10]", frozenset({"inference.default", "simple.default"})),
        ("map[a:b:2]", frozenset({"a:b"})),
        ("map[]", frozenset()),
        ("anything", None),
    ],
)
def test_the_queues_of_a_worker_of_runqys_are_read(text: str, queues: frozenset[str] | None) -> None:
    assert worker_queues(text) == queues


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2.5e8, "250 MB"), (3.2e12, "3.2 TB")]
)
def test_sizes_are_told_in_decimal_units(size: float, text: str) -> None:
    assert in_bytes(size) == text


@pytest.mark.parametrize(
    ("info", "level"),
    [
        ({"total_system_memory": 8_000_000_000, "used_memory_rss": 1_000_000_000}, "warning"),
        ({"total_system_memory": 16_000_000_000, "used_memory_rss": 1_000_000_000}, "ok"),
        ({}, "ok"),
    ],
)
def test_without_maxmemory_what_is_needed_is_compared_with_the_machine(info: dict[str, int], level: str) -> None:
    found = compared(Estimate(10_000_000, False, 8_000_000_000), None, server.room_on_machine(info))
    assert found.level == level
