"""The loader, from files that are compressed before and whose compression is not measured."""

from __future__ import annotations

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from dataclasses import dataclass

import cramjam
import lz4.frame

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT, reported_seconds
from benchmarks.recorder import loader_command

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@dataclass(frozen=True, slots=True)
class CompressedLoader:
    """See ``Contestant``.

    Args:
        compression: Its name.
        ending: That of its files.
        compress: Compresses as its program does without an option.
    """

    compression: str
    ending: str
    compress: Callable[[bytes], bytes]
    most_tasks: int | None = None
    same_work: bool = True
    note: str = "one file of JSON lines, compressed"

    @property
    def name(self) -> str:
        return f"runqy-loader-{self.compression}"

    @property
    def label(self) -> str:
        return f"runqy-loader, from {self.compression}"

    def prepare(self, work: Work) -> Plan:
        path = work.scratch / f"in.jsonl{self.ending}"
        path.write_bytes(self.compress(work.dataset.path.read_bytes()))
        options = list(work.options) if work.workers is None else [*work.options, f"--workers={work.workers}"]
        command = loader_command(path, work.target.url, work.batch_size, REPORT, *options)
        return Plan(command, seconds=reported_seconds(work.scratch))


COMPRESSED = (
    CompressedLoader("zstd", ".zst", zstd.compress),
    CompressedLoader("gzip", ".gz", lambda data: gzip.compress(data, 6)),
    CompressedLoader("lz4", ".lz4", lz4.frame.compress),
    CompressedLoader("snappy", ".sz", lambda data: bytes(cramjam.snappy.compress(data))),
    CompressedLoader("xz", ".xz", lzma.compress),
    CompressedLoader("bzip2", ".bz2", bz2.compress),
)
