"""How many processes a load has if nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.engine.engines.local import processors, spare_processes


@pytest.mark.parametrize(
    ("processors", "shards", "workers", "expected"),
    [
        (1, 1000, 2, 1),
        (2, 1000, 2, 1),  # the server needs the other one
        (3, 1000, 2, 1),
        (4, 1000, 2, 2),
        (5, 1000, 2, 3),
        (64, 1000, 2, 4),
        (64, 1000, 1, 1),  # one worker keeps the order
        (64, 1000, 8, 4),
        (64, 0, 2, 1),
        (64, 7, 2, 1),  # a small load begins at once
        (64, 8, 2, 2),
        (64, 16, 2, 4),
    ],
)
def test_processes_to_spare(processors: int, shards: int, workers: int, expected: int) -> None:
    assert spare_processes(processors, shards, workers) == expected


@pytest.mark.parametrize(
    ("quota", "most"),
    [("max 100000\n", None), ("100000 100000\n", 1), ("50000 100000\n", 1), ("6400000 100000\n", None), ("", None)],
)
def test_a_container_has_no_more_processors_than_its_quota(tmp_path: Path, quota: str, most: int | None) -> None:
    path = tmp_path / "cpu.max"
    seen = processors(path)
    path.write_text(quota)
    assert processors(path) == (seen if most is None else min(seen, most))
    assert seen >= 1
