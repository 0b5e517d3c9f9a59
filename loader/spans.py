"""Marks the steps of a run for traces. Without a tracer, a mark costs nothing and does nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Begin = Callable[[str], AbstractContextManager[object]]
"""Begins a span of this name, which ends with the block. An exception that leaves the block is noted in it."""

_begin: Begin = nullcontext


def span(name: str) -> AbstractContextManager[object]:
    """A step of the run; its time is the block."""
    return _begin(name)


def trace_with(begin: Begin | None) -> None:
    """Sets what makes spans in this process; None for nothing."""
    global _begin
    _begin = nullcontext if begin is None else begin
