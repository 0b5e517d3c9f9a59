"""The proof that a run may still write to the files of its job."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


async def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether no other run has taken the job over from this run. The default is for a run that cannot be taken over.

    Attributes:
        renew: Asks the server. Raises JobBusyError if another run has taken over, LoaderError if it does not tell.
        holds: Whether the server has said so just now.
    """

    renew: Callable[[], Awaitable[None]] = _nothing
    holds: Callable[[], bool] = lambda: True
