"""Consumers and producers of both layouts, as the tests of export and migrate run them beside the tool."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import redis

from loader.layouts.task_message import decode, encode
from loader.tasks.options import TaskOptions
from tests.conftest import Server
from tests.integration.cluster import Cluster

HANG = 60.0


def pending_key(layout: str, queue: str) -> str:
    return f"asynq:{queue}:pending" if layout == "documented" else f"asynq:{{{queue}}}:pending"


def task_key(layout: str, queue: str, task_id: str) -> str:
    return f"asynq:t:{task_id}" if layout == "documented" else f"asynq:{{{queue}}}:t:{task_id}"


def push(client: Any, layout: str, queue: str, tasks: Iterable[tuple[str, bytes]]) -> None:
    """Enqueues tasks (id and payload) as the layout's producers do: the hash first, then LPUSH."""
    pipe = client.pipeline(transaction=False)
    for task_id, payload in tasks:
        key = task_key(layout, queue, task_id)
        if layout == "documented":
            fields: dict[str, Any] = {
                "type": "task", "payload": payload, "retry": "0", "max_retry": "3", "queue": queue,
            }  # fmt: skip
        else:
            options = TaskOptions(max_retry=7, timeout=45, retention=600, headers=(("trace", "é"),))
            message = encode(queue, payload, task_id.encode(), queue, options)
            fields = {"msg": message, "state": "pending", "pending_since": str(time.time_ns())}
            pipe.sadd("asynq:queues", queue)
        pipe.hset(key, mapping=fields)
        pipe.lpush(pending_key(layout, queue), task_id)
    pipe.execute()


def numbered(count: int, first: int = 0) -> list[tuple[str, bytes]]:
    return [(f"task-{n:07}", b'{"n":  %d, "text": "\xc3\xa9"}' % n) for n in range(first, first + count)]


def stored(client: Any, layout: str, queue: str) -> list[tuple[str, dict[bytes, bytes]]]:
    """The pending tasks, the next to be taken first: id and hash."""
    ids = [task_id.decode() for task_id in reversed(client.lrange(pending_key(layout, queue), 0, -1))]
    pipe = client.pipeline(transaction=False)
    for task_id in ids:
        pipe.hgetall(task_key(layout, queue, task_id))
    return list(zip(ids, pipe.execute(), strict=True))


def payload_of(fields: dict[bytes, bytes]) -> bytes:
    return decode(fields[b"msg"]).payload if b"msg" in fields else fields[b"payload"]


def as_if_killed(db: Any, job: str, *, orphans: int, layout: str = "documented") -> None:
    """As if the load of a job into queue q had been killed when its last batch was written, and not pushed."""
    db.ltrim(pending_key(layout, "q.default"), orphans, -1)
    (bitmap,) = [key for key in db.keys("*:batches") if job.encode() in key]
    db.setbit(bitmap, db.bitcount(bitmap) - 1, 0)
    db.hset(f"runqy-loader:{{{job}}}:job", mapping={"state": "loading", "expires": 0})
    for key in db.keys("*runqy-loader:*"):
        db.persist(key)


class Consumer:
    """A worker of one queue: takes a task as its layout's workers do, notes it, and deletes it.

    Attributes:
        done: Id and payload of each task, in the order in which they were taken.
        hollow: Ids whose hash was not there.
    """

    def __init__(self, server: Server | Cluster, layout: str, queue: str, *, pause: float = 0.0) -> None:
        self.done: list[tuple[str, bytes]] = []
        self.hollow: list[str] = []
        self._client = server.client()
        self._layout, self._queue, self._pause = layout, queue, pause
        self._ending = False
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.finish()

    def finish(self) -> None:
        """Takes what is left, then ends."""
        self._ending = True
        self._thread.join(HANG)
        self._client.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while True:
                ending = self._ending
                if self._take():
                    time.sleep(self._pause)
                elif ending:
                    return
                else:
                    time.sleep(0.002)
        except redis.ConnectionError:
            if not self._ending:
                raise
        except BaseException as error:
            self._failure = error

    def _take(self) -> bool:
        pending: Any = pending_key(self._layout, self._queue)
        client: Any = self._client
        if self._layout == "documented":
            taken = client.rpop(pending)
        else:
            taken = client.rpoplpush(pending, f"asynq:{{{self._queue}}}:active")
        if taken is None:
            return False
        task_id = taken.decode()
        key = task_key(self._layout, self._queue, task_id)
        if self._layout == "asynq":
            client.hset(key, "state", "active")
            client.hdel(key, "pending_since")
        fields = client.hgetall(key)
        if b"payload" in fields or b"msg" in fields:
            self.done.append((task_id, payload_of(fields)))
        else:
            self.hollow.append(task_id)
        if self._layout == "asynq":
            client.lrem(f"asynq:{{{self._queue}}}:active", 0, task_id)
        client.delete(key)
        return True


class Producer:
    """Pushes tasks one by one until it is stopped."""

    def __init__(self, server: Server, layout: str, queue: str, tasks: Sequence[tuple[str, bytes]]) -> None:
        self.pushed: list[tuple[str, bytes]] = []
        self._client: Any = redis.Redis(port=server.port)
        self._target = (layout, queue)
        self._tasks = tasks
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending = True
        self._thread.join(HANG)
        self._client.close()

    def _run(self) -> None:
        for task in self._tasks:
            if self._ending:
                return
            push(self._client, *self._target, [task])
            self.pushed.append(task)


def until(holds: Callable[[], object], what: str) -> None:
    """Waits until something holds; fails only where that would take for ever."""
    deadline = time.monotonic() + HANG
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.005)
