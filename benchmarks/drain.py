"""Takes tasks out of Redis while a load runs, so that a load of any size fits a small server. Checks each task."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from benchmarks.errors import WrongResultError
from benchmarks.outcome import QUEUE, USUAL, Window
from benchmarks.payloads import Content, Tally
from benchmarks.server import Server
from benchmarks.verify import check_content, check_tasks

_MAX_TASKS_TAKEN = 2000
_MAX_REPLY_BYTES = 4_000_000
_PENDING = USUAL.layout.pending_key(QUEUE)
_TASK_KEY = USUAL.layout.task_key(QUEUE, b"")
_ANY_TIME = Window(0, 0)  # this layout stores no times

# One step on the server: the script takes ids, reads their hashes and deletes them.
_TAKE = """
local ids = redis.call('RPOP', KEYS[1], ARGV[2])
if not ids then return {{}, {}} end
local tasks = {}
for i, id in ipairs(ids) do
  tasks[i] = redis.call('HGETALL', ARGV[1] .. id)
  redis.call('UNLINK', ARGV[1] .. id)
end
return {ids, tasks}
"""


class Drain:
    """Use it with ``with`` around a load; then call ``finish``.

    It remembers every id in one byte, so that an id that came twice is noticed among a hundred million. This works
    because the loader's ids end with a number, which counts up from 0 for each prefix (see ``loader.tasks.ids``).
    """

    def __init__(self, server: Server, payload_size: int) -> None:
        self._client = server.connect()
        self._tasks_at_once = max(1, min(_MAX_TASKS_TAKEN, _MAX_REPLY_BYTES // payload_size))
        self._loading = threading.Event()
        self._thread = threading.Thread(target=self._run, name="drain")
        self._tally = Tally()
        self._seen: dict[bytes, bytearray] = {}
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        self._loading.set()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loading.clear()
        self._thread.join()
        self._client.__exit__()

    def _run(self) -> None:
        try:
            while True:
                more = (
                    self._loading.is_set()
                )  # read before taking, so that tasks that came before the end are still taken below
                if not self._take():
                    if not more:
                        return
                    time.sleep(0.002)
        except Exception as error:  # finish() reports it; the load itself then reaches the server's memory limit
            self._failure = error

    def _take(self) -> bool:
        ids, tasks = self._client.call("EVAL", _TAKE, 1, _PENDING, _TASK_KEY, self._tasks_at_once)
        if not ids:
            return False
        check_tasks(USUAL, QUEUE, ids, tasks, _ANY_TIME, self._tally)
        for task_id in ids:
            seen = self._seen.setdefault(task_id[:-12], bytearray())
            number = int(task_id[-12:], 16)
            if number >= len(seen):
                seen.extend(bytes(number + 1_000 - len(seen)))
            if seen[number]:
                raise WrongResultError(f"the task {task_id.decode()} was pushed twice")
            seen[number] = 1
        return True

    def finish(self, expected: Content) -> None:
        """Call it after the load. Raises WrongResultError unless every task came, correct and once."""
        if self._failure is not None:
            raise WrongResultError(str(self._failure)) from self._failure
        check_content(self._tally.content, expected)
