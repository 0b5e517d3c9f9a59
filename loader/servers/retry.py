"""Retries of steps that failed with a transient fault."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from loader.errors import ConnectionFailedError, TransientError
from loader.wire.faults import RESUME

T = TypeVar("T")

log = logging.getLogger("runqy_loader")


async def retry(
    step: Callable[[], Awaitable[T]],
    seconds: float,
    *,
    connected: bool = True,
    progressed_at: Callable[[], float] = lambda: 0.0,
    between: Callable[[], Awaitable[None]] | None = None,
) -> T:
    """Repeats a step while it fails with TransientError, with growing random pauses between the attempts.

    Args:
        seconds: How long to repeat it; 0 for one attempt.
        connected: Whether the server has been reached before. If not, a failing connection is more likely a mistake of
            the user than a fault, and is not retried.
        progressed_at: The time (``time.monotonic``) of the last progress in the work that this step belongs to.
            ``seconds`` count from this time, or from the first attempt if that is later.
        between: Awaited before each further attempt. It may fail with TransientError as well.

    Raises:
        TransientError: The fault lasted.
    """

    def retriable(error: BaseException) -> bool:
        return isinstance(error, TransientError) and (connected or not isinstance(error, ConnectionFailedError))

    def exhausted(state: RetryCallState) -> bool:
        return time.monotonic() - max(state.start_time, progressed_at()) >= seconds

    retrying = AsyncRetrying(
        retry=retry_if_exception(retriable),
        stop=exhausted,
        wait=_pause,
        before_sleep=_log_retry,
        reraise=True,
    )

    attempts = 0

    async def attempt() -> T:  # tenacity awaits only functions that it recognizes as coroutine functions
        nonlocal attempts
        attempts += 1
        if attempts > 1 and between is not None:
            await between()
        return await step()

    try:
        return await retrying(attempt)
    except TransientError as error:
        if seconds and retriable(error):
            message = f"{error.args[0]}; gave up after {seconds:g} s"
            raise type(error)(message, error.hint or RESUME.capitalize()) from error
        raise


_backoff = wait_random_exponential(multiplier=0.1, max=2)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    requested = error.retry_after if isinstance(error, TransientError) else 0.0
    return max(_backoff(state), requested)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    wait = state.next_action.sleep if state.next_action is not None else 0.0
    text = error.args[0] if error is not None else "failed"
    log.warning("%s; trying again in %.1f s", text, wait)
