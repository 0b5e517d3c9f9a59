"""The errors of the benchmarks."""

from __future__ import annotations


class BenchmarkError(Exception):
    """The harness cannot go on; the message says what to do."""


class UnavailableError(BenchmarkError):
    """A contestant cannot take part here: a toolchain or program is missing."""


class WrongResultError(BenchmarkError):
    """A contestant ended, but its result in Redis (or its output) is not correct and complete."""
