"""Errors of Dask tasks, in a form that Dask can always send.

Dask pickles the exception of a task with its traceback and all that led to it. There are some with which that fails:
the worker logs so, nobody is told that the task has ended, and a client waits for it for ever (distributed 2026.8).
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import TypeVar

from loader.errors import LoaderError, SinkError
from loader.wire.faults import RESUME

T = TypeVar("T")

_MOST_FRAMES = 20

_log = logging.getLogger("distributed.worker.runqy_loader")
"""Below Dask's own logger, so that it comes where the worker logs."""


def guarded(who: Callable[[], str], work: Callable[[], T]) -> T:
    """Returns what ``work`` returns.

    Args:
        who: Names the worker, for messages.

    Raises:
        LoaderError: Of ``work``, or in place of any other exception, which is logged here. Nothing hangs on it.
    """
    failed: LoaderError
    try:
        return work()
    except LoaderError as error:
        failed = error.with_traceback(None)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        # Not by ``exc_info``: that would print every frame.
        _log.error("%s\n%s", what, "".join(traceback.format_tb(error.__traceback__, limit=-_MOST_FRAMES)))
        failed = SinkError(
            f"Dask worker {who()} failed: {what}", f"Its log has the traceback. After that is mended, {RESUME}"
        )
    failed.__cause__ = failed.__context__ = None
    raise failed
