"""A table by polars, then redis-py's ordinary client: what one would write without a loader."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator

import polars

from benchmarks.peers.python import redis_py_sync
from benchmarks.peers.python.arguments import parse, write_report


def batches(path: str, size: int) -> Iterator[list[bytes]]:
    """The rows of a table as JSON objects, so many at a time."""
    frame = polars.read_parquet(path) if path.endswith(".parquet") else polars.read_csv(path, infer_schema=False)
    for part in frame.iter_slices(size):
        text = io.BytesIO()
        part.write_ndjson(text)
        yield text.getvalue().splitlines()


if __name__ == "__main__":
    given = parse()
    started = time.perf_counter()
    redis_py_sync.enqueue(given, batches(str(given.payloads), given.batch))
    write_report(given.report, started)
