"""Bodies of requests.

Payloads are kept byte for byte (``msgspec.Raw``), so that the gateway does not change how numbers are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec
import orjson

from loader.gateway.options import LONGEST_TIMEOUT
from loader.sources.explain import explain
from loader.sources.verdict import all_json
from loader.tasks.json_grammar import MOST_LEVELS

# A float for msgspec, since JSON has no integers: for JSON Schema and for some serialisers, 30.0 is an integer too.
Timeout = Annotated[
    float,
    msgspec.Meta(
        ge=0, le=LONGEST_TIMEOUT, multiple_of=1, description="Whole seconds a task may run; 0 for the default"
    ),
]
Queue = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        description="Name of the queue; NAME alone means NAME.default, as in runqy",
        examples=["inference.default"],
    ),
]
Data = Annotated[msgspec.Raw, msgspec.Meta(description="The payload: any JSON, handed to the worker byte for byte")]


class AddRequest(msgspec.Struct, kw_only=True):
    """One task. Without 'data', all other fields but queue and timeout are the payload."""

    queue: Queue
    timeout: Timeout | None = None
    data: Data | msgspec.UnsetType = msgspec.UNSET


class Job(msgspec.Struct, kw_only=True):
    """One of several tasks. Without 'data', all other fields but timeout are the payload."""

    timeout: Timeout | None = None
    data: Data | msgspec.UnsetType = msgspec.UNSET


class AddBatchRequest(msgspec.Struct, kw_only=True):
    """Several tasks for one queue: all of them are enqueued, or none."""

    queue: Queue
    jobs: list[Job]
    timeout: Annotated[Timeout | None, msgspec.Meta(description="For jobs without a timeout of their own")] = None


class CountedJob(Job, kw_only=True):
    """A job of a body that may hold more jobs than the limit: reading stops at the first one beyond it."""

    def __post_init__(self) -> None:
        _count.left -= 1
        if _count.left < 0:
            raise TooManyJobsError


class CountedBatchRequest(AddBatchRequest, kw_only=True):
    jobs: list[CountedJob]  # type: ignore[assignment]


class _Count:
    """How many more jobs the body that is read now may have."""

    left = 0


class _RawJobs(msgspec.Struct):
    jobs: list[msgspec.Raw]


class BadRequestError(ValueError):
    """The body is not a valid request; the message says why."""


class TooManyJobsError(ValueError):
    """The body has more jobs than the limit."""


class Tasks(NamedTuple):
    """What a request enqueues.

    Attributes:
        queue: As it was given.
        payloads: One a task, byte for byte.
        timeouts: Seconds a task may run, one a task; 0 if none is given.
    """

    queue: str
    payloads: list[bytes]
    timeouts: list[int]


_EXPLAINED = 1024 * 1024
"""Bytes. Of a longer text, it is only told that it is wrong: to find out why takes about 0.1 s a megabyte."""

_LONGEST_FLAT = 1024 * 1024

_count = _Count()
_read_add = msgspec.json.Decoder(AddRequest).decode
_read_batch = msgspec.json.Decoder(AddBatchRequest).decode
_read_counted_batch = msgspec.json.Decoder(CountedBatchRequest).decode
_read_raw_jobs = msgspec.json.Decoder(_RawJobs).decode
_read_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_add(body: bytes) -> Tasks:
    """Reads a body of ``POST /queue/add``.

    Raises:
        BadRequestError: The body is not such a request.
    """
    try:
        _check_utf8(body)
        request = _read_add(body)
        payload = bytes(request.data) if isinstance(request.data, msgspec.Raw) else _flat(body, ("queue", "timeout"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error, body) from None
    _check_payloads([payload], len(payload))
    return Tasks(request.queue, [payload], [int(request.timeout or 0)])


def read_batch(body: bytes, max_jobs: int, *, whole_jobs: bool = False) -> Tasks:
    """Reads a body of ``POST /queue/add-batch``.

    Args:
        whole_jobs: Whether the payload of a task is its job as it was sent, not the job's ``data``.

    Raises:
        BadRequestError: The body is not such a request, or has no jobs.
        TooManyJobsError: The body has more than ``max_jobs`` jobs.
    """
    try:
        _check_utf8(body)
        request = _read_jobs(body, max_jobs)
        if not request.jobs:
            raise BadRequestError("jobs array cannot be empty")
        if whole_jobs:
            payloads = [bytes(raw) for raw in _read_raw_jobs(body).jobs]
        else:
            try:
                payloads = [bytes(job.data) for job in request.jobs]  # type: ignore[arg-type]
            except TypeError:  # a job without data
                payloads = _mixed(body, request.jobs)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error, body) from None
    _check_payloads(payloads, len(body))
    default = request.timeout or 0
    return Tasks(
        request.queue, payloads, [int(default if job.timeout is None else job.timeout) for job in request.jobs]
    )


def _read_jobs(body: bytes, max_jobs: int) -> AddBatchRequest:
    # Each job is an object, so there are no more jobs than braces. Nearly all bodies are read without counting.
    if body.count(b"{") <= max_jobs + 1:
        return _read_batch(body)
    _count.left = max_jobs
    try:
        return _read_counted_batch(body)
    except msgspec.ValidationError as error:
        if _count.left < 0:
            raise TooManyJobsError(f"the jobs are too many: at most {max_jobs} a request") from None
        raise error from None


def _mixed(body: bytes, jobs: Sequence[Job]) -> list[bytes]:
    """The payloads of jobs, if not all of them have ``data``."""
    return [
        bytes(job.data) if isinstance(job.data, msgspec.Raw) else _flat(bytes(raw), ("timeout",))
        for job, raw in zip(jobs, _read_raw_jobs(body).jobs, strict=True)
    ]


def _flat(body: bytes, but: Sequence[str]) -> bytes:
    """The payload of a task in runqy's flat form: an object of all fields except ``but``, values byte for byte."""
    if len(body) > _LONGEST_FLAT:  # each field takes many times its length while it is read
        raise BadRequestError(
            f"a task without 'data' is at most {_LONGEST_FLAT:,} bytes long; put its fields into 'data'"
        )
    fields = _read_object(body)
    return b"{%b}" % b",".join(
        b"%b:%b" % (orjson.dumps(name), bytes(value)) for name, value in fields.items() if name not in but
    )


def _check_utf8(body: bytes) -> None:
    # msgspec does not check the encoding of what it keeps raw.
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the body is not UTF-8 at byte {error.start}") from None


def _check_payloads(payloads: Sequence[bytes], size: int) -> None:
    """Takes what a load takes: one rule for lone surrogates, numbers beyond a double, and nesting."""
    if all_json(payloads, size):
        return
    for number, payload in enumerate(payloads, 1):
        if (why := _why_not_json(payload)) is not None:
            which = f"job {number}: " if len(payloads) > 1 else ""
            raise BadRequestError(f"{which}the payload is {why}")


def _why_not_json(text: bytes) -> str | None:
    """Why a text is not JSON that a load takes, in the words of a load; None if it is."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return explain(text, error, document=True).text if len(text) <= _EXPLAINED else f"not valid JSON: {error}"
    return None


def _bad(error: Exception, body: bytes) -> BadRequestError:
    if isinstance(error, msgspec.ValidationError):
        return BadRequestError(f"the request is not valid: {error}")
    if isinstance(error, RecursionError):
        return BadRequestError(f"the body is not usable JSON: it is nested more than {MOST_LEVELS:,} levels deep")
    # msgspec's words are not those of a load, and not always true: it calls a lone surrogate cut data.
    return BadRequestError(f"the body is {_why_not_json(body) or f'not valid JSON: {error}'}")
