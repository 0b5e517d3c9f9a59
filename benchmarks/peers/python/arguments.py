"""The command line that all peers share, and the report that they write."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any


class Arguments(argparse.Namespace):
    """The arguments of a peer."""

    addr: str
    queue: str
    batch: int
    workers: int
    report: Path | None
    payloads: Path

    @property
    def connection(self) -> dict[str, Any]:
        """Keyword arguments for a redis-py client."""
        if self.addr.startswith("/"):
            return {"unix_socket_path": self.addr}
        host, port = self.addr.rsplit(":", 1)
        return {"host": host, "port": int(port)}


def parse() -> Arguments:
    """Reads the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--addr", default="127.0.0.1:6379", help="HOST:PORT, or the path of a socket")
    parser.add_argument("--queue", default="inference.default", help="full name of the queue")
    parser.add_argument("--batch", type=int, default=1000, help="tasks a pipeline")
    parser.add_argument("--workers", type=int, default=4, help="connections, if the peer uses several")
    parser.add_argument("--report", type=Path, help="write the seconds it took to this file, as JSON")
    parser.add_argument("payloads", type=Path, help="JSON lines")
    return parser.parse_args(namespace=Arguments())


def batches(path: Path, size: int) -> Iterator[list[bytes]]:
    """The file's lines, ``size`` at a time."""
    with path.open("rb") as file:
        while lines := list(islice(file, size)):
            yield [line.rstrip(b"\n") for line in lines]


def write_report(path: Path | None, started: float) -> None:
    """Writes the seconds since ``started`` (``time.perf_counter()``), without start-up and imports."""
    if path is not None:
        path.write_text(json.dumps({"seconds": time.perf_counter() - started}))
