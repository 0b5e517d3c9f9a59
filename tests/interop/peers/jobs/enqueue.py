"""Enqueues jobs with the real library of another system. Usage: enqueue.py SYSTEM URL QUEUE

It prints the ids of those that can be migrated as a JSON array. What the jobs have is in test_other_systems.py.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

ARGS, KWARGS = ["ä", 1.1], {"to": "ann@example.org", "big": 12345678901234567890}
HOUR = 3600


def celery(url: str, queue: str) -> list[str]:
    from celery import Celery, chain

    app = Celery("shop", broker=url)
    app.conf.broker_transport_options = {"priority_steps": [0, 3, 6, 9]}
    task = app.signature("shop.send")
    ids = [
        task.apply_async(ARGS, KWARGS, queue=queue).id,
        task.apply_async([2], queue=queue, priority=9).id,
        chain(app.signature("shop.send", [3]), app.signature("shop.after")).apply_async(queue=queue).parent.id,
        task.apply_async([4], queue=queue, countdown=HOUR).id,
        task.apply_async([5], queue=queue, compression="gzip", time_limit=90.5).id,
    ]
    task.apply_async([6], queue=queue, serializer="pickle")
    task.apply_async([7], queue="another")
    return ids


def rq(url: str, queue: str) -> list[str]:
    from redis import Redis
    from rq import Queue, Retry
    from rq.serializers import JSONSerializer

    jobs = Queue(queue, connection=Redis.from_url(url), serializer=JSONSerializer)
    ids = [
        jobs.enqueue("shop.send", *ARGS, **KWARGS).id,
        jobs.enqueue("shop.send", 2, retry=Retry(max=4), job_timeout=77).id,
        jobs.enqueue("shop.send", 3, at_front=True, ttl=900).id,
        jobs.enqueue_in(timedelta(seconds=HOUR), "shop.send", 4).id,
    ]
    jobs.enqueue("shop.send", 5, depends_on=ids[0])
    Queue(queue, connection=Redis.from_url(url)).enqueue("shop.send", 6)  # a pickle, as is the default
    return ids


def dramatiq(url: str, queue: str) -> list[str]:
    import dramatiq
    from dramatiq.brokers.redis import RedisBroker

    broker = RedisBroker(url=url)
    broker.declare_queue(queue)

    def message(args: list[Any], kwargs: dict[str, Any] | None = None, **options: Any) -> Any:
        return dramatiq.Message(queue, "send", tuple(args), kwargs or {}, options)

    sent = [
        broker.enqueue(message(ARGS, KWARGS)),
        broker.enqueue(message([2], max_retries=4, time_limit=77_500)),
        broker.enqueue(message([3], pipe_target=message([8]).asdict())),
        broker.enqueue(message([4]), delay=HOUR * 1000),
    ]
    return [one.message_id for one in sent]


def saq(url: str, queue: str) -> list[str]:
    async def enqueue() -> list[str]:
        from saq import Job, Queue

        jobs = Queue.from_url(url, name=queue)
        made = [
            Job("send", kwargs={"at": ARGS, **KWARGS}),
            Job("send", kwargs={"n": 2}, retries=5, timeout=77),
            Job("send", key="own", retry_delay=3),
            Job("send", kwargs={"n": 4}, scheduled=int(time.time()) + HOUR),
        ]
        ids = [job.key for job in [await jobs.enqueue(one) for one in made] if job is not None]
        await jobs.disconnect()
        return ids

    return asyncio.run(enqueue())


def taskiq(url: str, queue: str) -> list[str]:
    from taskiq_redis import ListQueueBroker

    return asyncio.run(_taskiq(ListQueueBroker(url, queue_name=queue)))


def taskiq_stream(url: str, queue: str) -> list[str]:
    from taskiq_redis import RedisStreamBroker

    return asyncio.run(_taskiq(RedisStreamBroker(url, queue_name=queue)))


async def _taskiq(broker: Any) -> list[str]:
    async def nothing(*args: Any, **kwargs: Any) -> None: ...

    send = broker.task(task_name="send")(nothing)
    await broker.startup()
    sent = [
        await send.kiq(*ARGS, **KWARGS),
        await send.kicker().with_labels(max_retries=4).kiq(2),
        await send.kicker().with_labels(tenant="a").kiq(3),
    ]
    await broker.shutdown()
    return [one.task_id for one in sent]


SYSTEMS: dict[str, Callable[[str, str], list[str]]] = {
    "celery": celery,
    "dramatiq": dramatiq,
    "rq": rq,
    "saq": saq,
    "taskiq": taskiq,
    "taskiq-stream": taskiq_stream,
}

if __name__ == "__main__":
    system, url, queue = sys.argv[1:]
    print(json.dumps(SYSTEMS[system](url, queue)))
