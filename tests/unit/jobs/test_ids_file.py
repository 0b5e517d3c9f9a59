"""The ids file, whose lines a thread writes."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from loader.jobs.ids_file import IdsFile

_MANY = 200_000
"""Lines of more bytes than may wait to be written."""


def test_whoever_waits_for_the_disk_and_is_cancelled_loses_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    os.mkfifo(path)  # what is written waits until it is read
    lines = [b"%06d-%s\tq.default\n" % (n, b"x" * 40) for n in range(2 * _MANY)]
    reads = threading.Event()

    def read() -> bytes:
        with path.open("rb") as file:
            reads.wait()
            return file.read()

    async def scenario() -> bytes:
        reading = asyncio.get_running_loop().run_in_executor(None, read)  # it begins now: to open waits for it
        ids = IdsFile(path)
        await ids.open()
        ids.add_lines(b"".join(lines[:_MANY]))
        await ids.settle()  # a thread writes
        ids.add_lines(b"".join(lines[_MANY:]))
        waiting = asyncio.create_task(ids.settle())
        await asyncio.sleep(0)
        waiting.cancel()  # as a worker is that has lost its connection
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        reads.set()
        await ids.close()
        return await reading

    assert asyncio.run(scenario()) == b"".join(lines)
