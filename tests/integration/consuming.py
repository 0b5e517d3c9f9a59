"""Tasks for ``runqy-loader consume``, and what it leaves behind."""

from __future__ import annotations

import time
from typing import Any

from loader.consume.options import ConsumeOptions
from tests.unit.task_message_oracle import encode

QUEUE = "q.default"
LAYOUTS = ("documented", "asynq")


def list_key(layout: str, kind: str) -> str:
    """The key of a list of the queue: ``pending`` or ``active``."""
    return f"asynq:{{{QUEUE}}}:{kind}" if layout == "asynq" else f"asynq:{QUEUE}:{kind}"


def task_key(layout: str, task_id: str) -> str:
    return f"asynq:{{{QUEUE}}}:t:{task_id}" if layout == "asynq" else f"asynq:t:{task_id}"


def enqueue(db: Any, layout: str, count: int, *, first: int = 0, max_retry: int = 3, **message: object) -> list[str]:
    """Enqueues tasks t0, t1 … as a client of the layout does, one transaction for all.

    Args:
        message: Further fields of asynq's message.
    """
    names = [f"t{number}" for number in range(first, first + count)]
    pipe = db.pipeline()
    for name in names:
        if layout == "asynq":
            fields: dict[str, object] = {"timeout": 1800, **message}
            msg = encode(type="mail", payload=b"{}", id=name, queue=QUEUE, retry=max_retry, **fields)
            since = time.time_ns()
            pipe.hset(task_key(layout, name), mapping={"msg": msg, "state": "pending", "pending_since": since})
        else:
            fields = {"type": "task", "payload": "{}", "retry": 0, "max_retry": max_retry, "queue": QUEUE}
            pipe.hset(task_key(layout, name), mapping=fields)
        pipe.lpush(list_key(layout, "pending"), name)
    if layout == "asynq":
        pipe.sadd("asynq:queues", QUEUE)
    pipe.execute()
    return names


def options(url: str, layout: str, **given: Any) -> ConsumeOptions:
    return ConsumeOptions(queue="q", layout=layout, redis=url, **given)  # type: ignore[arg-type]


def registered(db: Any) -> list[bytes]:
    """The keys of registrations of either layout."""
    return sorted(db.keys("asynq:servers*") + db.keys("asynq:workers*"))


def pending(db: Any, layout: str) -> list[str]:
    """The ids of pending tasks, the next to be taken first."""
    return [name.decode() for name in reversed(db.lrange(list_key(layout, "pending"), 0, -1))]


def active(db: Any, layout: str) -> list[str]:
    return [name.decode() for name in db.lrange(list_key(layout, "active"), 0, -1)]


def assert_left_in_order(db: Any, layout: str, report: dict[str, Any], names: list[str], said: str = "") -> None:
    """Each task is either done, or pending as it was; nothing is active; nobody is registered."""
    assert active(db, layout) == [], said
    assert registered(db) == [], said
    waiting = pending(db, layout)
    assert len(waiting) == len(set(waiting)), said
    assert report["taken"] == report["done"] + report["put_back"], (report, said)
    assert report["left_active"] == 0 == report["no_longer_ours"], (report, said)
    assert len(names) - len(waiting) == report["done"], (report, said)
    left = [name for name in names if db.exists(task_key(layout, name))]
    assert sorted(left) == sorted(waiting), said
    for name in waiting[:20]:
        fields = db.hgetall(task_key(layout, name))
        assert fields.get(b"state") == (b"pending" if layout == "asynq" else None), said
    if layout == "asynq":
        assert db.zcard(f"asynq:{{{QUEUE}}}:lease") == 0, said
        assert int(db.get(f"asynq:{{{QUEUE}}}:processed") or 0) == report["done"], said
