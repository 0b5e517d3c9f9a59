"""The plan, beside results that were worked out by hand from round numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.planning.capacity import fits, rates, servers_needed
from loader.planning.figure import Plan
from loader.planning.model import plan
from loader.planning.wanted import Wanted
from tests.unit.planning.points import MIB, SNAPSHOT, known, wanted


def _plan(of: Wanted) -> Plan:
    return plan(of, known(), {})


def test_one_server_takes_as_many_tasks_as_its_thread_has_time_for() -> None:
    found = _plan(wanted())
    assert found["server_rate"] == 200_000
    assert found["rate"] == 200_000
    assert found["seconds"] == 5.0
    assert found["cores"] == 1
    assert "threads" in found.figure("rate").basis


def test_memory_is_tasks_and_table_and_what_a_snapshot_copies() -> None:
    found = _plan(wanted())
    assert found["tasks_memory"] == 400e6
    assert found["table_bytes"] == 8 * 2**20  # the next power of two of a million
    assert found["used_memory"] == 400e6 + 8 * 2**20
    assert found["resident_bytes"] == pytest.approx(1.1 * found["used_memory"])
    # The snapshot of 200 MB takes 2 s, in which 400,000 tasks are loaded, for 100 bytes each.
    assert found["snapshot_seconds"] == 2.0
    assert found["copied_bytes"] == pytest.approx(40e6)
    assert found["machine_memory"] == pytest.approx(1.1 * found["resident_bytes"] + 40e6 + found["backlog"])


def test_a_backlog_holds_a_minute_of_the_stream() -> None:
    found = _plan(wanted())
    assert found["stream"] == 200_000 * 250
    assert found["backlog"] == 60 * 200_000 * 250
    settings = {one.name: one.value for one in found.settings}
    backlog = int(settings["repl-backlog-size"])
    assert found["backlog"] <= backlog < found["backlog"] + MIB
    kind, hard, soft, seconds = settings["client-output-buffer-limit"].split()
    assert (kind, int(hard), int(soft), int(seconds)) == ("replica", 2 * backlog, backlog, 60)


def test_a_copy_in_the_load_waits_in_a_buffer() -> None:
    found = _plan(wanted(network=100e6))
    assert found["copy_seconds"] == 2.0 + 200e6 / 100e6  # written, then sent
    assert found["copy_buffer"] == found["stream"] * 4.0


def test_a_large_copy_is_warned_of() -> None:
    found = _plan(wanted(tasks=10**9, servers=4))
    assert any("copies everything" in text for text in found.warnings)


def test_the_network_limits_by_its_busier_direction() -> None:
    assert rates(wanted(network=30e6), known(), 1).total == 100_000  # 300 bytes in
    assert rates(wanted(network=30e6, replicas=3), known(), 1).total == 40_000  # 3 x 250 bytes out
    assert rates(wanted(network=30e6), known(), 1).limit == "the network"


def test_cores_limit_what_servers_could_take() -> None:
    found = _plan(wanted(servers=4, cores=1))
    assert found["rate"] == 500_000
    assert "cores" in found.figure("rate").basis


def test_enough_servers_for_the_time() -> None:
    assert servers_needed(wanted(tasks=3600 * 200_000, hours=1.0), known()) == 1
    assert servers_needed(wanted(tasks=3600 * 200_000 + 1, hours=1.0), known()) == 2
    assert servers_needed(wanted(tasks=3600 * 200_000, hours=0.25), known()) == 4


def test_too_few_cores_for_the_time_are_warned_of() -> None:
    found = _plan(wanted(tasks=10**9, hours=0.1, cores=1))
    assert any("longer than 0.1 h: the loader's cores limit it" in text for text in found.warnings)


def test_a_given_number_of_servers_that_is_too_small_is_warned_of() -> None:
    found = _plan(wanted(tasks=10**9, servers=2, memory=10**9))
    assert any("Each server needs" in text for text in found.warnings)


def test_no_number_of_servers_is_an_error() -> None:
    with pytest.raises(ValueError, match="10,000"):
        _plan(wanted(tasks=10**15, memory=10**9))


def test_an_append_only_file_without_rewrites_has_each_task() -> None:
    assert _plan(wanted())["aof_growth"] == 260e6


def test_appendfsync_always_is_as_much_slower_as_measured() -> None:
    slow = plan(wanted(persistence="aof-always"), known(sync_factor=0.5), {})
    assert slow["rate"] == 100_000
    assert "x 0.50 [r]" in slow.figure("server_rate").basis


def test_what_was_not_asked_for_is_not_in_the_plan() -> None:
    found = _plan(wanted(replicas=0, persistence="none"))
    names = {one.name for section in found.sections for one in section.figures}
    assert not names & {"backlog", "aof_growth", "fork_seconds", "copied_bytes", "workers_seconds", "network_rate"}
    assert any("Nothing is kept" in text for text in found.warnings)


def test_workers_are_through_after_the_load_or_later() -> None:
    assert _plan(wanted(workers_rate=1000.0))["workers_seconds"] == 1000.0
    assert _plan(wanted(workers_rate=1e9))["workers_seconds"] == 5.0


def test_shards_and_the_scheduler() -> None:
    found = _plan(wanted(tasks=10**8))
    shards = -(-(10**8 * 101) // (16 * MIB))
    assert found["shards"] == shards
    assert found["shard_seconds"] == pytest.approx(10**8 / shards / 200_000)
    assert found["scheduler_seconds"] == pytest.approx(shards * 0.001)
    assert found["scheduler_workers"] == int(0.5 * found["shard_seconds"] / 0.001)


def test_snapshots_one_after_the_other_are_warned_of() -> None:
    found = _plan(wanted(tasks=10**9, servers=1, persistence="rdb"))
    assert any("save 60 10000" in text for text in found.warnings)
    assert {one.name: one.value for one in found.settings}["save"].endswith(" 1")


def test_a_fork_takes_as_long_a_byte_as_measured() -> None:
    found = _plan(wanted(tasks=10**9, servers=1))
    assert found["fork_seconds"] == pytest.approx(0.010 * found["resident_bytes"] / 1e9)


@given(tasks=st.integers(1, 10**11), memory=st.integers(10**9, 10**12), replicas=st.integers(0, 3))
def test_the_servers_of_a_plan_have_the_memory_and_no_fewer_would(tasks: int, memory: int, replicas: int) -> None:
    of = wanted(tasks=tasks, memory=memory, replicas=replicas)
    found = servers_needed(of, known())
    if found is None:
        assert not fits(of, known(), 10_000)
        return
    assert fits(of, known(), found)
    # One server fewer would have too little, unless it would also have more time for a snapshot and so on.
    assert found == 1 or not fits(of, known(), found - 1)


def test_json_has_every_figure_with_its_origin() -> None:
    found = plan(wanted(), known(), {"t": "a measurement"})
    content = found.to_dict()
    for name, figure in content["figures"].items():
        assert figure["how"] in ("given", "measured", "interpolated", "extrapolated", "calculated"), name
        assert figure["how"] != "calculated" or figure["basis"], name
        assert figure["how"] not in ("measured", "interpolated") or figure["source"], name
    assert content["sources"] == {"t": "a measurement"}


def test_an_unknown_size_of_snapshots_is_that_of_memory() -> None:
    none = replace(known().costs, file_bytes=None)
    found = plan(wanted(), known(costs=none), {})
    assert found["snapshot_bytes"] == 400e6
    assert SNAPSHOT.file_bytes == 10**9
