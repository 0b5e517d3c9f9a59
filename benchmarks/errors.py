"""What can go wrong with a benchmark."""

from __future__ import annotations


class BenchmarkError(Exception):
    """The harness cannot go on; the message says what to do."""


class UnavailableError(BenchmarkError):
    """A contestant cannot take part here: a toolchain or program is missing."""


class WrongResultError(BenchmarkError):
    """A contestant ended, but what it left in Redis (or what it said) is not right and complete."""
