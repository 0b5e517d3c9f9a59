"""Retries of steps that failed with a fault that may pass."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from loader.errors import ConnectionFailedError, RefusedNowError, TransientError
from loader.servers.outage import Outage
from loader.wire.faults import CHECK_SERVER, RESUME

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 2.0

RECOVERING = frozenset({"READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF"})
"""Conditions that end without the user: a failover, a replica that comes back, a disk that is written again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to repeat a step, and what to wait for.

    Attributes:
        seconds: How long to repeat a step without progress; 0 for one attempt.
        conditions: Conditions of ``RefusedNowError`` that are waited for.
        outage: Tells the user what is waited for. Steps that wait for the same server share it.
    """

    seconds: float
    conditions: frozenset[str] = RECOVERING
    outage: Outage = field(default_factory=Outage)

    @classmethod
    def of(cls, seconds: float, *, full: bool) -> Patience:
        """The patience of a load.

        Args:
            full: Whether to wait for a server at its memory limit as well. It recovers only if workers drain the queue.
        """
        return cls(seconds, RECOVERING | {"OOM"} if full else RECOVERING)

    def covers(self, error: BaseException) -> bool:
        """Whether a step that failed with this error is worth repeating."""
        if isinstance(error, RefusedNowError):
            return error.condition in self.conditions
        return isinstance(error, TransientError)


class Repeat(Protocol):
    """Repeats a step while it fails with a fault that may pass: ``retry`` with all else bound."""

    async def __call__(self, step: Callable[[], Awaitable[T]]) -> T: ...


async def retry(
    step: Callable[[], Awaitable[T]],
    patience: float | Patience,
    *,
    connected: bool = True,
    written: Callable[[], bool] = lambda: True,
    progressed_at: Callable[[], float] = lambda: 0.0,
    between: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Repeats a step while it fails with TransientError, with growing random pauses between the attempts.

    Args:
        patience: Or only its seconds.
        connected: Whether the server has been reached before. If not, a failing connection is more likely a mistake of
            the user than a fault, and is not retried, except to an address that another server has told.
        written: Whether the server has accepted a write of this work before. If not, a refusal is more likely a mistake
            of the user (such as the address of a replica) than a failover, and is not retried.
        progressed_at: The time (``time.monotonic``) of the last progress in the work that this step belongs to.
            The seconds count from this time, or from the first attempt if that is later. The pauses grow anew from it.
        between: Awaited before each further attempt. It may fail with TransientError as well.

    Raises:
        TransientError: The fault lasted.
    """
    given = patience if isinstance(patience, Patience) else Patience(patience)
    pauses, began = _Pauses(progressed_at), time.monotonic()

    def retriable(error: BaseException) -> bool:
        if isinstance(error, ConnectionFailedError) and not (connected or error.announced):
            return False
        if isinstance(error, RefusedNowError) and not written():
            return False
        return given.covers(error)

    def waited() -> float:
        return time.monotonic() - max(began, progressed_at())

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, TransientError):
            given.outage.lasts(error, waited(), given.seconds)

    try:
        return await step()
    except TransientError as error:
        if not retriable(error):
            raise
        first = error
    from tenacity import AsyncRetrying, retry_if_exception  # 3 ms, and nearly all steps succeed at once

    retrying = AsyncRetrying(
        retry=retry_if_exception(retriable),
        stop=lambda state: waited() >= given.seconds,
        wait=pauses,
        before_sleep=tell,
        reraise=True,
    )

    attempts = 0

    async def attempt() -> T:  # tenacity awaits only functions that it recognizes as coroutine functions
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise first
        if between is not None:
            await between()
        return await step()

    try:
        result: T = await retrying(attempt)
    except TransientError as error:
        is_known = connected and error.hint == CHECK_SERVER  # the address is right: the server has been reached
        if retriable(error) and (given.seconds or is_known):
            final = copy(error)
            gave_up = f"; gave up after {given.seconds:g} s"
            if given.seconds and not str(error.args[0]).endswith(gave_up):  # a step inside this one may have said it
                final.args = (f"{error.args[0]}{gave_up}",)
            final.hint = RESUME.capitalize() if is_known else error.hint or RESUME.capitalize()
            raise final from error
        raise
    given.outage.over()
    return result


class _Pauses:
    """Random pauses, exponentially longer with each attempt without progress."""

    def __init__(self, progressed_at: Callable[[], float]) -> None:
        self._progressed_at = progressed_at
        self._seen = progressed_at()
        self._without_progress = 0

    def __call__(self, state: RetryCallState) -> float:
        progress = self._progressed_at()
        self._without_progress = 1 if progress > self._seen else self._without_progress + 1
        self._seen = max(progress, self._seen)
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * math.pow(2, min(self._without_progress, 32) - 1))
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.retry_after if isinstance(error, TransientError) else 0.0
        return max(random.uniform(0, longest), asked)
