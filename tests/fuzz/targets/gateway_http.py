"""The gateway's requests: bodies as they were sent, and the tasks that Python's ``json`` finds in them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from random import Random
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Message

from loader.gateway.answers import error_body
from loader.gateway.bodies import Bodies
from loader.gateway.http import HttpError, Request
from loader.gateway.options import LONGEST_TIMEOUT
from loader.gateway.overload import Limit
from loader.gateway.requests import BadRequestError, TooManyJobsError, read_add, read_batch
from tests.fuzz.drawn import chunks, parameters, with_parameters

_RUNNER = asyncio.Runner()
_MOST_JOBS = 5
_BEYOND_DOUBLE = re.compile(rb"[eE]\+?[0-9]{2}|[0-9]{300}")
"""Numbers that may be beyond a double."""


def seeds() -> Iterator[bytes]:
    bodies = (
        b'{"queue": "q", "data": {"a": 1.0}, "timeout": 30}',
        b'{"queue":"q","timeout":30.0,"a": [1e400, "\\u00e9"],"b":{}}',
        b'{"queue": "q", "jobs": [{"data": 1}, {"data": "x", "timeout": 5}], "timeout": 7}',
        b'{"queue":"q","jobs":[{"a": 1 , "b":"\\ud83d\\ude00"},{"data":null},{}]}',
        b'{"queue":"q","jobs":[]}',
        b'{"queue":"","data":1}',
        b'{"queue":"q","data":"\xff"}',
        b'{"queue":"q","data":' + b"[" * 1500 + b"]" * 1500 + b"}",
        b"[]",
    )
    for number, body in enumerate(bodies):
        yield with_parameters(body, number)


def check(data: bytes) -> None:
    random, body = parameters(data)
    _RUNNER.run(_request(body, random))
    known = _known(body)
    for read, needs_jobs in ((read_add, False), (lambda content: read_batch(content, _MOST_JOBS), True)):
        try:
            queue, payloads, timeouts = read(body)
        except (BadRequestError, TooManyJobsError) as error:
            assert json.loads(error_body(str(error)))["errors"] == [str(error)]
            assert known is None or not _is_request(known, needs_jobs=needs_jobs) or _is_odd(body), error
            continue
        if known is None:
            assert _is_odd(body), "it is not JSON"
            continue
        assert _is_request(known, needs_jobs=needs_jobs)
        assert queue == known["queue"]
        tasks = known["jobs"] if needs_jobs else [known]
        default = (known.get("timeout") or 0) if needs_jobs else 0
        but = ("timeout",) if needs_jobs else ("queue", "timeout")
        assert len(payloads) == len(timeouts) == len(tasks)
        for payload, timeout, task in zip(payloads, timeouts, tasks, strict=True):
            given = task.get("timeout")
            assert timeout == (default if given is None else given)
            wanted = task["data"] if "data" in task else {name: task[name] for name in task if name not in but}
            assert repr(_loads(payload)) == repr(wanted)
            assert "data" not in task or payload in body


def _loads(text: bytes) -> Any:
    return json.loads(text, parse_int=_Number, parse_float=_Number)


class _Number(float):
    """A number that keeps its text, which repr() shows: payloads are kept byte for byte."""

    def __new__(cls, text: str) -> _Number:
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __repr__(self) -> str:
        return self.text


def _known(body: bytes) -> Any:
    """The body's value; None if it is not JSON, or too deep for Python."""
    try:
        return _loads(body)
    except (ValueError, RecursionError):
        return None


def _is_request(known: Any, *, needs_jobs: bool) -> bool:
    if not isinstance(known, dict) or not isinstance(known.get("queue"), str) or not known["queue"]:
        return False
    if not _is_timeout(known.get("timeout")):
        return False
    if not needs_jobs:
        return True
    jobs = known.get("jobs")
    return (
        isinstance(jobs, list)
        and 0 < len(jobs) <= _MOST_JOBS
        and all(isinstance(job, dict) and _is_timeout(job.get("timeout")) for job in jobs)
    )


def _is_timeout(value: Any) -> bool:
    return value is None or (isinstance(value, _Number) and value.is_integer() and 0 <= value <= LONGEST_TIMEOUT)


def _is_odd(body: bytes) -> bool:
    """Whether Python's ``json`` takes what is refused here: lone surrogates, depth, constants, a mark, huge numbers.

    Also names that come twice: msgspec checks each value, ``json`` keeps the last.
    """
    return (
        b"\\u" in body
        or _has_a_name_twice(body)
        or body.count(b"[") + body.count(b"{") > 900
        or any(word in body for word in (b"NaN", b"Infinity"))
        or body.startswith(b"\xef\xbb\xbf")
        or b"\0" in body
        or _BEYOND_DOUBLE.search(body) is not None
    )


def _has_a_name_twice(body: bytes) -> bool:
    sizes: list[bool] = []
    with suppress(ValueError, RecursionError):
        json.loads(body, parse_int=str, object_pairs_hook=lambda pairs: sizes.append(len(dict(pairs)) < len(pairs)))
    return any(sizes)


async def _request(body: bytes, random: Random) -> None:
    """A body arrives whole, or is refused for one of the documented reasons."""
    parts = chunks(body, random)
    limit, most = random.choice([10, 100, 10_000]), random.choice([10, 100, 10_000])
    declared = random.choice([None, len(body)])
    cut = random.randrange(len(parts)) if not random.randrange(5) else None
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": at + 1 < len(parts)} for at, part in enumerate(parts)
    ]
    if cut is not None:
        messages[cut:] = [{"type": "http.disconnect"}]
    waiting = iter(messages)

    async def receive() -> Message:
        return next(waiting)

    fields = {b"content-length": b"%d" % declared} if declared is not None else {}
    memory = Limit(most, 0.001, "buffered bytes")
    request = Request({}, receive, fields)
    try:
        got = await Bodies(limit, memory).read(request)
    except HttpError as error:
        assert error.status in (413, 503)
        asked = max(declared or 0, len(body)) if error.status == 413 else len(body)
        assert asked > (limit if error.status == 413 else most)
    except ClientDisconnect:
        assert cut is not None
    else:
        assert got == body
        assert cut is None
        assert len(body) <= min(limit, most)
    memory.give_back(request.held)
    assert memory.used == 0
