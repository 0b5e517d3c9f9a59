"""Finds one task, in any queue and layout, and shows all of it."""

from __future__ import annotations

import base64
from dataclasses import asdict
from typing import Any

import hiredis
import orjson

from loader.errors import LoaderError
from loader.inspection.survey import queue_names
from loader.layouts.task_message import MessageError, decode
from loader.servers.question import ask
from loader.servers.session import Session
from loader.stored.queue_reader import AsynqQueue, DocumentedQueue, StoredQueue
from loader.wire.connection import Reply
from loader.wire.replies import pairs

_MAX_SEARCHED = 1_000_000


async def find_task(session: Session, task_id: str, queue: str | None) -> list[dict[str, Any]]:
    """All tasks with an id, ready for JSON. Each layout may have one; in the asynq layout, each queue may have one.

    Args:
        queue: The queue to search; None for every queue that the server lists.

    Raises:
        LoaderError: There is no such task.
    """
    key = task_id.encode(errors="surrogateescape")
    tasks: list[dict[str, Any]] = []
    fields = await _hash(session, b"asynq:t:" + key)
    names = [queue, f"{queue}.default"] if queue is not None else await queue_names(session)
    stored_name = fields.get(b"queue", b"").decode(errors="replace")
    if b"payload" in fields and (queue is None or stored_name in names):
        tasks.append(await _documented(session, key, fields, stored_name))
    if queue is None and stored_name and stored_name not in names:
        names.append(stored_name)
    for name in names:
        in_queue = AsynqQueue(name)
        if fields := await _hash(session, in_queue.task_key(key)):
            tasks.append(await _asynq(session, key, fields, in_queue))
    if not tasks:
        where = f" in queue {queue}" if queue is not None else ""
        raise LoaderError(
            f"no task {task_id!r}{where} on {session.address}",
            "It may be done and deleted; a queue that asynq:queues does not list must be named with --queue",
        )
    return tasks


async def _documented(session: Session, task_id: bytes, fields: dict[bytes, bytes], name: str) -> dict[str, Any]:
    queue = DocumentedQueue(name)
    (result,) = await session.values([ask(b"GET", b"asynq:result:" + task_id)])
    place = await _tasks_ahead(session, queue, task_id)
    return {
        "id": _readable(task_id),
        "layout": "documented",
        "queue": name,
        "state": "taken, or far back in a long queue" if place is None else "pending",
        "ahead": place,
        "fields": {_key(name): _readable(value) for name, value in fields.items() if name not in (b"payload",)},
        **_payload(fields[b"payload"]),
        "result": _readable(result) if isinstance(result, bytes) else None,
    }


async def _asynq(session: Session, task_id: bytes, fields: dict[bytes, bytes], queue: AsynqQueue) -> dict[str, Any]:
    state = fields.get(b"state", b"").decode(errors="replace")
    shown: dict[str, Any] = {
        "id": _readable(task_id),
        "layout": "asynq",
        "queue": queue.name,
        "state": state or "pending",
        "ahead": await _tasks_ahead(session, queue, task_id) if state in ("", "pending") else None,
        "fields": {_key(name): _readable(value) for name, value in fields.items() if name not in (b"msg", b"payload")},
    }
    payload = fields.get(b"payload", b"")
    if b"msg" in fields:
        try:
            message = decode(fields[b"msg"])
        except MessageError as error:
            return {**shown, "unreadable": str(error), "message": _readable(fields[b"msg"])}
        payload = message.payload
        # 'payload' is shown below. Fields that are not set are left out.
        shown["message"] = {name: value for name, value in asdict(message).items() if value and name != "payload"}
        if message.unknown:
            shown["message"]["unknown"] = base64.b64encode(message.unknown).decode()
    if state in ("scheduled", "retry"):
        key = b"asynq:{%b}:%b" % (queue.name.encode(), state.encode())
        (score,) = await session.values([ask(b"ZSCORE", key, task_id)])
        shown["starts"] = float(score) if isinstance(score, bytes) else None
    if state == "aggregating" and b"group" in fields:
        key = b"asynq:{%b}:g:%b" % (queue.name.encode(), fields[b"group"])
        (score,) = await session.values([ask(b"ZSCORE", key, task_id)])
        shown["in_group_since"] = float(score) if isinstance(score, bytes) else None
    return {**shown, **_payload(payload)}


async def _tasks_ahead(session: Session, queue: StoredQueue, task_id: bytes) -> int | None:
    """The number of pending tasks that workers will take before it; None if it is not among the next million."""
    key = queue.pending_key
    find = ask(b"LPOS", key, task_id, b"RANK", b"-1", b"MAXLEN", b"%d" % _MAX_SEARCHED)
    place, length = await session.values([find, ask(b"LLEN", key)])
    return length - 1 - place if isinstance(place, int) and isinstance(length, int) else None


async def _hash(session: Session, key: bytes) -> dict[bytes, bytes]:
    (reply,) = await session.values([ask(b"HGETALL", key)])
    return _fields(reply)


def _fields(reply: Reply) -> dict[bytes, bytes]:
    return {} if isinstance(reply, hiredis.ReplyError) else pairs(reply)


def _payload(payload: bytes) -> dict[str, Any]:
    try:
        return {"payload": orjson.loads(payload)}
    except orjson.JSONDecodeError:
        pass
    try:
        return {"payload_text": payload.decode()}
    except UnicodeDecodeError:
        return {"payload_base64": base64.b64encode(payload).decode()}


def _key(name: bytes) -> str:
    return name.decode(errors="backslashreplace")


def _readable(value: bytes) -> str:
    return value.decode(errors="backslashreplace")
