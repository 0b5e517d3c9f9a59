"""Writes generated records, one a line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from loader.generate.options import GenerateOptions, size_of
from loader.generate.report import GenerateReport
from loader.sources.generated.generator import Generator

_PIECE_SECONDS = 0.1
"""How long a thread makes records before it looks whether it shall stop."""


class Generating:
    """Makes the records of a template, up to a number, a size or a time.

    Args:
        write: Writes data. It is called in a thread.

    Raises:
        UsageError: From ``run``: the template, or a file that it names, cannot be used.
    """

    def __init__(self, template: Path, options: GenerateOptions, write: Callable[[bytes], None]) -> None:
        self._template = template
        self._options = options
        self._write = write
        self._limit = None if options.bytes is None else size_of(options.bytes)
        self._stopping = False
        self.report = GenerateReport(template=str(template), seed=options.seed, first=options.first)

    def stop(self) -> None:
        """Makes ``run`` end soon."""
        self._stopping = True

    async def run(self) -> GenerateReport:
        """Makes and writes all records."""
        options, report = self._options, self.report
        try:
            made = await asyncio.to_thread(Generator, self._template, options.seed)
            report.library = made.made_by
            first = options.first - 1
            blocks = made.blocks(first, None if options.count is None else first + options.count)
            until = None if options.duration is None else time.monotonic() + options.duration
            are_left = True
            while are_left and not self._stopping:
                are_left = await asyncio.to_thread(self._piece, blocks, until)
        except Exception as error:
            report.fail(error)
            raise
        report.end("interrupted" if are_left else "completed")
        return report

    def _piece(self, blocks: Iterator[Sequence[str]], until: float | None) -> bool:
        """Writes records for a while. Returns whether there are more."""
        report = self.report
        pause = time.monotonic() + _PIECE_SECONDS
        for texts in blocks:
            # Hot path: one encoding and one write for a block.
            data = ("\n".join(texts) + "\n").encode()
            count = len(texts)
            if self._limit is not None and report.bytes_written + len(data) >= self._limit:
                data, count = _up_to(data, self._limit - report.bytes_written)
                self._put(data, count)
                return False
            self._put(data, count)
            now = time.monotonic()
            if until is not None and now >= until:
                return False
            if now >= pause:
                return True
        return False

    def _put(self, data: bytes, count: int) -> None:
        self._write(data)
        self.report.records += count
        self.report.bytes_written += len(data)


def _up_to(data: bytes, size: int) -> tuple[bytes, int]:
    """The lines up to the one that reaches a size, and their number."""
    end = data.index(b"\n", size - 1) + 1
    return data[:end], data.count(b"\n", 0, end)
