"""Makes the records of a template. Record k is a function of the template, the seed and k."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from loader.errors import UsageError
from loader.sources.generated.column import Column
from loader.sources.generated.context import Context
from loader.sources.generated.data_files import DataFiles
from loader.sources.generated.draws import Draws
from loader.sources.generated.library import Library
from loader.sources.generated.template import read_template

VERSION = 1
"""Of what is made of a template: a version that makes other records of the same template has another number."""

_MOST_RECORDS = 1024
_BLOCK_BYTES = 1024 * 1024
_SAMPLE = 16
_POINTS = 4


class Generator:
    """The records of a template, by number from 0.

    Args:
        template: Its path.

    Raises:
        UsageError: The template, or a file that it names, cannot be used.
    """

    def __init__(self, template: Path, seed: int) -> None:
        self._seed = seed
        try:
            text = template.read_bytes()
        except OSError as error:
            raise UsageError(f"template {template}: {error.strerror}", "Check the path") from error
        files, library = DataFiles(template.parent), Library()
        try:
            self._column: Column = read_template(text, Context("$", "$", seed, files, library))
        except UsageError as error:
            raise UsageError(f"template {template}: {error.args[0]}", error.hint) from None
        self.made_by = library.version
        """The library that made a part of the values, and its version; '' if none did."""
        parts = [str(VERSION), text.hex(), str(seed), library.version, *map(repr, sorted(files.digests.items()))]
        self.digest = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
        """Digest of all that records depend on."""
        self.block = _SAMPLE
        """Records that are made at once."""
        size = self._mean_of_block(0)
        # A block is made at once, so it must not be large. Its length is a function of the template and the seed.
        while self.block < _MOST_RECORDS and 2 * self.block * size <= _BLOCK_BYTES:
            self.block *= 2
        while self.block > 1 and self.block * size > _BLOCK_BYTES:
            self.block //= 2

    def digest_of(self, first: int, count: int) -> str:
        """The digest of so many records from number ``first`` on, counted from 1."""
        return hashlib.blake2b(f"{self.digest}\0{first}\0{count}".encode(), digest_size=16).hexdigest()

    def mean_size(self, first: int, count: int) -> float:
        """Mean bytes of records with their line feeds, from a few blocks among so many records from ``first`` on."""
        points = [first + count * point // _POINTS for point in range(_POINTS)]
        blocks = {point // self.block for point in points}
        return 1 + sum(map(self._mean_of_block, blocks)) / len(blocks)

    def _mean_of_block(self, number: int) -> float:
        start = number * self.block
        texts = self._column(Draws(self._seed, number), range(start, start + self.block))
        return max(1.0, sum(len(text.encode()) for text in texts) / len(texts))

    def blocks(self, first: int, end: int | None) -> Iterator[Sequence[str]]:
        """The records from ``first`` on, up to before ``end``; without an end, for ever. Some at a time."""
        size = self.block
        number, skipped = divmod(first, size)
        while end is None or number * size < end:
            start = number * size
            texts = self._column(Draws(self._seed, number), range(start, start + size))
            last = size if end is None else min(size, end - start)
            yield texts if not skipped and last == size else texts[skipped:last]
            skipped = 0
            number += 1
