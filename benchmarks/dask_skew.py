"""A program for the scenario ``dask-skew``: the same records in files of equal or of very different lengths.

    python -m benchmarks.dask_skew PATH URL WORKERS FILES SHARE

The records of PATH are written to FILES gzip files. The last one by name has SHARE of all records (0: as many as the
others), as whoever has one huge file cannot choose its name. It prints one JSON object with its figures.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.dask_shards import cluster, cpu_seconds
from benchmarks.outcome import QUEUE
from benchmarks.recorder import JOB
from loader.api import Loader
from loader.jobs.report import LoadReport
from loader.settings import LoadOptions
from loader.sources import shards


def split(lines: Sequence[bytes], files: int, share: float) -> list[list[bytes]]:
    """The lines for each file."""
    huge = round(len(lines) * (share or 1 / files))
    rest = len(lines) - huge
    bounds = [rest * number // (files - 1) for number in range(files)]
    return [list(lines[start:end]) for start, end in zip(bounds, [*bounds[1:], len(lines)], strict=True)]


def main(path: Path, url: str, workers: int, files: int, share: float) -> None:
    """Measures, and prints the figures."""
    shards.SHARD_BYTES = 1  # each file is a shard of its own, as large ones are
    with tempfile.TemporaryDirectory() as folder, cluster(workers) as (client, _, pids):
        for number, lines in enumerate(split(path.read_bytes().splitlines(keepends=True), files, share)):
            Path(folder, f"{number:03}.jsonl.gz").write_bytes(gzip.compress(b"".join(lines), 6))
        wanted = LoadOptions(
            queue=QUEUE, redis=url, job=JOB, layout="documented", engine="dask", scheduler=client.scheduler.address
        )
        before = sum(map(cpu_seconds, pids))
        report = asyncio.run(_load(wanted, folder))
        spent = sum(map(cpu_seconds, pids)) - before
    print(
        json.dumps(
            {"seconds": report.seconds, "files": files, "busy": spent / report.seconds / workers, "worker s": spent}
        )
    )


async def _load(options: LoadOptions, folder: str) -> LoadReport:
    async with Loader(options) as loader:
        return await loader.load([folder])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
