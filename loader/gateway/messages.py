"""Bodies of requests and answers.

Payloads are kept byte for byte (``msgspec.Raw``), so that the gateway does not change how numbers are written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import orjson

from loader.gateway.options import LONGEST_TIMEOUT

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


class _RawJobs(msgspec.Struct):
    jobs: list[msgspec.Raw]


class TaskInfo(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A task."""

    id: str
    queue: str
    state: Annotated[str, msgspec.Meta(description="pending, active, scheduled, retry, completed or archived")]
    type: str | msgspec.UnsetType = msgspec.UNSET
    max_retry: int | msgspec.UnsetType = msgspec.UNSET
    retried: int | msgspec.UnsetType = msgspec.UNSET
    payload: Annotated[str, msgspec.Meta(description="JSON text")] | msgspec.UnsetType = msgspec.UNSET
    payload_base64: (
        Annotated[str, msgspec.Meta(description="In place of payload, if the payload is not UTF-8")] | msgspec.UnsetType
    ) = msgspec.UNSET
    result: (
        Annotated[str, msgspec.Meta(description="The result that the worker stored: JSON text")] | msgspec.UnsetType
    ) = msgspec.UNSET
    last_err: Annotated[str, msgspec.Meta(description="Why it last failed")] | msgspec.UnsetType = msgspec.UNSET
    last_failed_at: Annotated[str, msgspec.Meta(description="RFC 3339")] | msgspec.UnsetType = msgspec.UNSET
    completed_at: Annotated[str, msgspec.Meta(description="RFC 3339")] | msgspec.UnsetType = msgspec.UNSET


class TaskAnswer(msgspec.Struct):
    """One task."""

    info: TaskInfo


class BatchAnswer(msgspec.Struct):
    """The outcome of the jobs. Either all jobs are enqueued or none, so no job fails alone."""

    enqueued: int
    failed: int
    task_ids: list[str]
    errors: list[str]


class Errors(msgspec.Struct):
    """Why a request was not served."""

    errors: list[str]


class Health(msgspec.Struct):
    """Whether the gateway can serve requests."""

    status: Annotated[str, msgspec.Meta(description="ok, or unavailable if Redis does not answer")]


_read_add = msgspec.json.Decoder(AddRequest).decode
_read_batch = msgspec.json.Decoder(AddBatchRequest).decode
_read_raw_jobs = msgspec.json.Decoder(_RawJobs).decode
_read_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class BadRequestError(ValueError):
    """The body is not a valid request; the message says why."""


class TooManyJobsError(ValueError):
    """The body has more jobs than the limit."""


def read_add(body: bytes) -> tuple[str, list[bytes], list[int]]:
    """Queue, payload and timeout (seconds, 0 if none is given) of a body of ``POST /queue/add``.

    Raises:
        BadRequestError: The body is not such a request.
    """
    try:
        _check_utf8(body)
        request = _read_add(body)
        payload = bytes(request.data) if isinstance(request.data, msgspec.Raw) else _flat(body, ("queue", "timeout"))
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error) from None
    return request.queue, [payload], [int(request.timeout or 0)]


def read_batch(body: bytes, max_jobs: int) -> tuple[str, list[bytes], list[int]]:
    """Queue, payloads and timeouts (seconds, 0 if none is given) of a body of ``POST /queue/add-batch``.

    Raises:
        BadRequestError: The body is not such a request, or has no jobs.
        TooManyJobsError: The body has more than ``max_jobs`` jobs.
    """
    try:
        _check_utf8(body)
        request = _read_batch(body)
        if not request.jobs:
            raise BadRequestError("jobs array cannot be empty")
        if len(request.jobs) > max_jobs:
            raise TooManyJobsError(f"{len(request.jobs)} jobs are too many: at most {max_jobs} a request")
        try:
            payloads = [bytes(job.data) for job in request.jobs]  # type: ignore[arg-type]
        except TypeError:  # a job without data
            payloads = _mixed(body, request.jobs)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _bad(error) from None
    default = request.timeout or 0
    return request.queue, payloads, [int(default if job.timeout is None else job.timeout) for job in request.jobs]


def _mixed(body: bytes, jobs: Sequence[Job]) -> list[bytes]:
    """The payloads of jobs, if not all of them have ``data``."""
    return [
        bytes(job.data) if isinstance(job.data, msgspec.Raw) else _flat(bytes(raw), ("timeout",))
        for job, raw in zip(jobs, _read_raw_jobs(body).jobs, strict=True)
    ]


def _flat(body: bytes, but: Sequence[str]) -> bytes:
    """The payload of a task in runqy's flat form: an object of all fields except ``but``, values byte for byte."""
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


def _bad(error: Exception) -> BadRequestError:
    if isinstance(error, msgspec.ValidationError):
        return BadRequestError(f"the request is not valid: {error}")
    if isinstance(error, RecursionError):
        return BadRequestError("the body is not usable JSON: it is nested too deeply")
    return BadRequestError(f"the body is not valid JSON: {error}")


# --- answers -------------------------------------------------------------------------------------------------------

_encode = msgspec.json.Encoder().encode


def error_body(message: str) -> bytes:
    return _encode(Errors([message]))


def task_body(info: TaskInfo) -> bytes:
    return _encode(TaskAnswer(info))


def batch_body(ids: Sequence[bytes]) -> bytes:
    # Hot path: ids are hexadecimal and need no escaping. A join takes a tenth of the encoder's time.
    return b'{"enqueued":%d,"failed":0,"task_ids":["%b"],"errors":[]}' % (len(ids), b'","'.join(ids))
