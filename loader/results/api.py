"""The Python API for waiting for results."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Unpack, cast

from loader.errors import ResultTimeoutError
from loader.queues.names import resolve_queue
from loader.results.options import WaitOptions
from loader.results.outstanding import Waiting, WaitingIds, in_chunks
from loader.results.polling import Waiter, WaitReport
from loader.results.result import TaskResult
from loader.settings.server_address import server_address
from loader.tasks.ids import check_task_id

if TYPE_CHECKING:
    from loader.settings.keywords import WaitKeywords

TaskRef = str | tuple[str, str]
"""A task: its id, or a pair of its id and its queue."""


OF_THE_COMMAND = frozenset({"ids", "job", "out", "missing"})
"""Fields of ``WaitOptions`` that only the command uses: they name files."""


def wait_for_results(
    tasks: Iterable[TaskRef], *, loaded: bool = False, **fields: Unpack[WaitKeywords]
) -> AsyncGenerator[TaskResult, None]:
    """Waits for tasks, and yields each result as it comes; at the timeout, also the state of tasks that are not done.

    Args:
        tasks: Ids, or pairs of id and queue; each id is waited for once. Memory stays flat for millions.
        loaded: Whether the tasks are known to have been loaded. Then a task that has left no trace is 'expired' at
            once; otherwise it is 'missing' at the timeout.
        fields: Fields of ``WaitOptions``: ``redis``, ``layout``, ``queue``, ``profile``, ``timeout`` (in seconds,
            or such as '5m'; without it, the wait lasts until all are done), ``reply_timeout``, ``retry_for``.

    Raises:
        UsageError: An option is out of range.
        TypeError: ``tasks`` is one id, or a field is only for the command line.
        ValueError: While iterating: an id or the name of a queue is not valid.
        LoaderError: While iterating: the server refuses, or cannot be reached.

    Example:
        >>> async for result in wait_for_results(ids, redis="redis://localhost:6379/0", timeout=60):
        ...     print(result.id, result.status, result.value)
    """
    if foreign := sorted(OF_THE_COMMAND & fields.keys()):
        raise TypeError(f"{foreign[0]} is an option of runqy-loader wait; this function yields the results")
    options = WaitOptions(**cast(dict[str, Any], fields))
    options.check()
    if isinstance(tasks, str | bytes):
        raise TypeError(f"give an iterable of ids, not {type(tasks).__name__}; wait_for_result waits for one")
    return _results((_waiting(task, options, loaded=loaded) for task in tasks), options)


async def wait_for_result(task: TaskRef, *, loaded: bool = False, **fields: Unpack[WaitKeywords]) -> TaskResult:
    """Waits for one task until it is 'completed', 'failed' or 'expired'. See ``wait_for_results``.

    Raises:
        ResultTimeoutError: The task is not done within ``timeout`` seconds.
        LoaderError: The server refuses, or cannot be reached.

    Example:
        >>> result = await wait_for_result(task_id, timeout=30)
    """
    async with aclosing(wait_for_results([task], loaded=loaded, **fields)) as results:
        result = await anext(results)
    if result.status in ("pending", "missing"):
        outcome = "is not done" if result.status == "pending" else "has not been found"
        waited = str(timeout) if isinstance(timeout := fields.get("timeout"), timedelta) else timeout
        raise ResultTimeoutError(
            f"task {result.id} {outcome} after {waited if isinstance(waited, str) else f'{waited} s'}"
        )
    return result


async def _results(tasks: Iterable[Waiting], options: WaitOptions) -> AsyncGenerator[TaskResult, None]:
    waiting = WaitingIds()
    try:
        for batch in in_chunks(tasks):
            waiting.add(batch)
        report = WaitReport(total=waiting.count)
        waiter = Waiter(server_address(options), options, waiting, options.known_layout, report)
        async with aclosing(waiter.results()) as chunks:
            async for chunk in chunks:
                for result in chunk:
                    yield result
        for chunk in waiter.unfinished():
            for result in chunk:
                yield result
    finally:
        waiting.close()


def _waiting(task: TaskRef, options: WaitOptions, *, loaded: bool) -> Waiting:
    task_id, queue = (task, None) if isinstance(task, str) else task
    if queue is not None:
        queue = resolve_queue(queue, sub_queues=options.profile != "asynq")
    return Waiting(check_task_id(task_id), queue or options.default_queue, loaded, None)
