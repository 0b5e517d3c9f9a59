"""A killed load that shapes its records: a resume makes the same tasks, and each of them once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.helpers import assert_each_once, write_lines
from tests.faults.scene import Scene

SHAPES: dict[str, tuple[str, ...]] = {
    "where": ("--where", "on"),
    "select": ("--select", "{m: n}"),
    "set": ("--set", "m=n", "--set", "on=`1.10`"),
    "sample": ("--sample", "60%"),
    "window": ("--offset", "70", "--limit", "800"),
    "dedup": ("--dedup", "k"),
    "id and queue": ("--id-from", "join('-', ['x', to_string(n)])", "--queue-from", "on && 'q.on'"),
    "all": (
        "--where",
        "on",
        "--sample",
        "90%",
        "--dedup",
        "k",
        "--offset",
        "3",
        "--limit",
        "350",
        "--select",
        "{m: n}",
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_resume_after_a_kill_gives_the_same_tasks(scene: Scene, shape: tuple[str, ...]) -> None:
    records = [{"n": n, "k": n % 700, "on": n % 3 != 0} for n in range(1500)]
    lines = write_lines(scene.folder / "in.jsonl", (json.dumps(record).encode() for record in records))
    scene.input_of(lines, "in.jsonl", "-b", "20", *shape)
    whole = scene.load("--dry-run", direct=True)
    with scene.halted(6) as running:
        running.kill()
    scene.proxy.go_on()

    done = scene.load()

    report: dict[str, Any] = done.report
    names = ("filtered", "not_sampled", "duplicates", "outside", "records_read")
    assert done.status == 0, done.stderr
    assert report["already_loaded"] > 0
    assert report["loaded"] + report["already_loaded"] == whole.report["valid"]
    assert {name: report[name] for name in names} == {name: whole.report[name] for name in names}
    if shape == SHAPES["where"]:
        assert_each_once(scene.client, [line for line, record in zip(lines, records, strict=True) if record["on"]])
    queues = ("q.default", "q.on")
    ids = [task for queue in queues for task in scene.client.lrange(f"asynq:{queue}:pending", 0, -1)]
    assert len(set(ids)) == len(ids) == whole.report["valid"]
