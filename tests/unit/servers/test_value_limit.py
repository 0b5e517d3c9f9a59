"""The longest value that servers accept, from what they tell of their configuration."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from loader.servers.value_limit import ValueLimit, value_limit

MIB = 1024 * 1024
BULK, BUFFER = "proto-max-bulk-len", "client-query-buffer-limit"


def reply(name: str, size: int) -> list[bytes]:
    return [name.encode(), b"%d" % size]


@pytest.mark.parametrize(
    ("replies", "limit"),
    [
        ([reply(BULK, 512 * MIB), reply(BUFFER, 1024 * MIB)], ValueLimit(512 * MIB, BULK)),
        ([reply(BULK, MIB), reply(BUFFER, 1024 * MIB)], ValueLimit(MIB, BULK)),
        ([reply(BULK, 512 * MIB), reply(BUFFER, MIB)], ValueLimit(MIB - 65_536, BUFFER)),
        ([reply(BULK, 9 * MIB), [], reply(BULK, 3 * MIB), []], ValueLimit(3 * MIB, BULK)),
        ([reply(BULK, 9 * MIB), redis.exceptions.ResponseError("unknown")], ValueLimit(9 * MIB, BULK)),
        ([redis.exceptions.NoPermissionError("no"), redis.exceptions.NoPermissionError("no")], None),
        ([[], []], None),
        ([reply(BULK, 0)], None),
        ([[b"proto-max-bulk-len", b"512mb"]], None),
        ([], None),
    ],
    ids=["defaults", "bulk", "buffer", "two nodes", "an old server", "refused", "unknown", "zero", "text", "nothing"],
)
def test_the_smallest_limit_of_all_servers_counts(replies: list[Any], limit: ValueLimit | None) -> None:
    assert value_limit(replies) == limit
