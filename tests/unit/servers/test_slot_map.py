"""Which node serves which key, by key and for many keys that begin alike."""

from __future__ import annotations

import pytest

from loader.errors import TransientError
from loader.servers.routing import Servers
from loader.servers.slot_map import SlotMap
from loader.tasks.ids import id_prefix, id_suffixes
from loader.wire.address import Address, parse_address
from loader.wire.slots import SLOTS

NAMED = parse_address("redis://127.0.0.1:7000")
NODES = [parse_address(f"redis://127.0.0.1:{port}") for port in (7000, 7001, 7002)]
KEYS = b"asynq:t:" + id_prefix("job", 0, "digest"), id_suffixes(0, 3000)


def servers_with(ranges: list[tuple[int, int]], primaries: list[Address]) -> Servers:
    servers = Servers(NAMED, 1.0)
    servers._take(SlotMap(NAMED, ranges, primaries))
    return servers


@pytest.mark.parametrize(
    ("ranges", "primaries"),
    [
        ([(0, 5000), (5001, 10_000), (10_001, SLOTS - 1)], NODES),
        ([(0, 99), (100, 8000), (8001, 8001), (8002, SLOTS - 1)], [NODES[0], NODES[1], NODES[0], NODES[2]]),
        ([(0, SLOTS - 1)], NODES[:1]),
    ],
)
def test_the_parts_of_many_keys_are_those_of_each_key(ranges: list[tuple[int, int]], primaries: list[Address]) -> None:
    before, ends = KEYS
    servers = servers_with(ranges, primaries)

    parts = servers.parts(before, ends)

    single = servers.by_node([before + end for end in ends])
    assert sorted(map(list, parts)) == sorted(single.values())


def test_a_key_that_no_node_serves_is_named() -> None:
    servers = servers_with([(0, 5000), (6000, SLOTS - 1)], NODES[:2])
    with pytest.raises(
        TransientError, match=r"key asynq:t:.*, slot 5\d\d\d: the cluster does not serve slots 5001-599"
    ):
        servers.parts(*KEYS)


def test_keys_of_a_single_server_are_one_part() -> None:
    assert [list(part) for part in Servers(NAMED, 1.0).parts(*KEYS)] == [list(range(3000))]


def test_slots_that_were_read_again_count_from_then_on() -> None:
    before, ends = KEYS
    servers = servers_with([(0, SLOTS - 1)], NODES[:1])
    assert len(servers.parts(before, ends)) == 1

    servers._take(SlotMap(NAMED, [(0, 8000), (8001, SLOTS - 1)], NODES[:2]))

    assert len(servers.parts(before, ends)) == 2
