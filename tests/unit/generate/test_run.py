"""A run that writes generated records: what it is when it was told to stop."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from loader.generate.options import GenerateOptions
from loader.generate.run import Generating


@pytest.mark.parametrize(("count", "status"), [(5, "completed"), (5_000_000, "interrupted")])
def test_a_run_that_is_told_to_stop_when_all_is_written_is_complete(tmp_path: Path, count: int, status: str) -> None:
    template = tmp_path / "template.json"
    template.write_text('{"n": "{{ sequence }}"}')
    written = bytearray()

    def write(data: bytes) -> None:
        written.extend(data)
        running.stop()

    running = Generating(template, GenerateOptions(count=count), write)
    report = asyncio.run(running.run())

    assert report.status == status
    assert report.records == written.count(b"\n")
    assert (report.records == count) == (status == "completed")
