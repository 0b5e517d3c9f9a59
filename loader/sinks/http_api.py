"""runqy's HTTP API: its address, the bodies of requests, and the meaning of answers."""

from __future__ import annotations

import email.utils
import errno
import os
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson

from loader.errors import ConnectionFailedError, LoaderError, SinkError, TransientError, UnknownQueueError, UsageError
from loader.settings import LoadOptions
from loader.settings.shared import API_KEY_VARIABLE
from loader.tasks.reasons import Reason, ReasonCode
from loader.wire.faults import RESUME
from loader.wire.hosts import WRONG_NAME, can_be_a_name
from loader.wire.target import ToHttp

_MAX_SHOWN = 200
_REFUSED_STATUSES = (400, 413, 422)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The URL of the API, without a slash at its end, and the key for it.

    Attributes:
        key: The API key; None to send none.
    """

    url: str
    key: str | None = field(repr=False)

    def __str__(self) -> str:
        return self.url.partition("://")[2]


def endpoint_of(options: LoadOptions) -> Endpoint:
    """Raises UsageError if the URL or the key cannot be used."""
    target = options.target
    assert isinstance(target, ToHttp)  # noqa: S101 - only loads over HTTP ask
    return Endpoint(base_url(target.url), _api_key(options))


class RefusedError(Exception):
    """The server refused a request because of its content, and has accepted none of its tasks."""


class UnsureError(TransientError):
    """A request was sent, and it is unknown whether the server has accepted it."""


@dataclass(slots=True)
class Answer:
    """What the server did with the tasks of a request.

    Attributes:
        ids: By position, the ids of the tasks that are in.
        refused: By position, why the other tasks are not in.
    """

    ids: dict[int, bytes] = field(default_factory=dict)
    refused: dict[int, Reason] = field(default_factory=dict)


def base_url(given: str) -> str:
    """The URL of the API without a slash at its end.

    Raises:
        UsageError: The text is not an http:// or https:// URL of a host, or has a user name, a query or a fragment.
    """
    how = "Write http://HOST:PORT or https://HOST; the key goes into a variable, see --api-key-env"
    try:
        parts = urlsplit(given)
        port_is_fine = parts.port != 0
    except ValueError:
        raise UsageError("--to is not a usable URL", how) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise UsageError("--to is not a usable URL", how)
    if not can_be_a_name(parts.hostname):
        raise UsageError(f"--to: {WRONG_NAME}", how)
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError("--to takes no user name, no query ('?…') and no fragment ('#…')", how)
    return given.rstrip("/")


def _api_key(options: LoadOptions) -> str | None:
    """The key, or None to send none.

    Raises:
        UsageError: The variable that the user names is not set, or it holds characters that no header can hold.
    """
    name = options.api_key_env or API_KEY_VARIABLE
    key = os.environ.get(name)
    if options.api_key_env is not None and not key:
        raise UsageError(f"--api-key-env {name}: this variable is not set", f"Set it: export {name}=…")
    if key and not (key.isascii() and key.isprintable()):
        raise UsageError(f"the API key in {name} holds characters that no header can hold", "Check the variable")
    return key or None


class Requests:
    """Builds the bodies of requests for one queue. Payloads are copied byte for byte.

    Args:
        timeout: Seconds that each task may run; 0 leaves it to the server.
    """

    def __init__(self, queue: str, timeout: int) -> None:
        limit = b',"timeout":%d' % timeout if timeout else b""
        self._head = b'{"queue":%b%b,' % (orjson.dumps(queue), limit)

    def batch(self, payloads: Sequence[bytes]) -> bytes:
        """The body of ``POST /queue/add-batch``."""
        return b"".join((self._head, b'"jobs":[{"data":', b'},{"data":'.join(payloads), b"}]}"))

    def single(self, payload: bytes) -> bytes:
        """The body of ``POST /queue/add``."""
        return b'%b"data":%b}' % (self._head, payload)


def read_batch(body: bytes, count: int, where: str) -> tuple[list[bytes], list[Any]]:
    """Ids and errors of an answer to ``add-batch``.

    Raises:
        SinkError: The body is not such an answer, or its counts do not add up to ``count`` tasks.
    """
    answer = _object(body, where)
    ids, errors = answer.get("task_ids") or [], answer.get("errors") or []
    enqueued, failed = answer.get("enqueued"), answer.get("failed", 0)
    lists = isinstance(ids, list) and isinstance(errors, list)
    if not (lists and isinstance(failed, int) and enqueued == len(ids) and enqueued + failed == count):
        raise _no_answer(body, where)
    return [str(task_id).encode() for task_id in ids], errors


def read_single(body: bytes, where: str) -> bytes:
    """The id in an answer to ``add``. Raises SinkError if it has none."""
    info = _object(body, where).get("info")
    if not isinstance(info, dict) or not isinstance(info.get("id"), str):
        raise _no_answer(body, where)
    return str(info["id"]).encode()


def named_refusals(errors: Sequence[Any], count: int, failed: int) -> dict[int, str] | None:
    """Which tasks of a batch were refused, and why; None if the answer does not tell which.

    runqy's server lists the errors of the failed tasks in their order, but does not say which tasks these are. Other
    servers may send objects with ``index``.
    """
    indexed = [(error.get("index"), reason(error)) for error in errors if isinstance(error, dict)]
    named = {index: why for index, why in indexed if isinstance(index, int) and 0 <= index < count}
    if len(named) == failed:
        return named
    if failed == count:
        reasons = [reason(error) for error in errors]
        return {
            position: reasons[position] if position < len(reasons) else "no reason given" for position in range(count)
        }
    return None


def match_stored(payloads: Sequence[bytes], stored: Mapping[bytes, Any], errors: Sequence[Any]) -> Answer:
    """Finds out which tasks are in, by the payloads that the server has stored. Equal payloads are interchangeable.

    Args:
        stored: By id, the payload that the server reports: the job as it was sent, or only its data.
    """
    ids_by_payload: dict[bytes, list[bytes]] = {}
    for task_id, value in stored.items():
        ids_by_payload.setdefault(_canonical(_data_of(value)), []).append(task_id)
    answer = Answer()
    for position, payload in enumerate(payloads):
        same = ids_by_payload.get(_canonical(orjson.loads(payload))) or ids_by_payload.get(
            _canonical(_data_of(orjson.loads(payload)))
        )
        if same:
            answer.ids[position] = same.pop()
    reasons = Counter(reason(error) for error in errors)
    why = refusal("; ".join(reasons) or "no reason given")
    for position in range(len(payloads)):
        if position not in answer.ids:
            answer.refused[position] = why
    return answer


def refusal(message: str) -> Reason:
    """The reason of a refused task, with the server's own message."""
    return Reason(ReasonCode.REFUSED_BY_SERVER, f"{ReasonCode.REFUSED_BY_SERVER.meaning}: {message}")


def raise_for_status(status: int, headers: Mapping[str, str], body: bytes, queue: str, where: str) -> None:
    """Raises the error that an answer's status stands for; returns for a success.

    Raises:
        RefusedError: The server refuses the request because of its content. None of its tasks is in.
        UnsureError: The server failed while it worked on the request.
        TransientError: The request must be sent again later. None of its tasks is in.
        LoaderError: Only the user can correct the cause.
    """
    if 200 <= status < 300:
        return
    message = _server_message(body)
    if status in (408, 429):
        raise _with_retry_after(TransientError(f"{where}: the server asks to wait ({status} {message})"), headers)
    if status >= 500:
        raise _with_retry_after(UnsureError(f"{where}: the server failed ({status} {message})"), headers)
    if status in _REFUSED_STATUSES:
        raise RefusedError(message)
    if status in (401, 403):
        raise SinkError(
            f"{where}: the server refuses the API key ({status} {message})",
            f"Name the variable that holds it with --api-key-env (default: {API_KEY_VARIABLE})",
        )
    if status == 404 and "queue" in message:
        raise UnknownQueueError(f"{where}: queue {queue} does not exist ({message})", "Create it, or name another")
    raise SinkError(f"{where}: this is no answer of runqy's API ({status} {message})", "Check the URL in --to")


def _with_retry_after(error: TransientError, headers: Mapping[str, str]) -> TransientError:
    error.retry_after = retry_after(headers.get("Retry-After", ""), headers.get("Date", ""))
    return error


def retry_after(value: str, date: str = "") -> float:
    """The seconds in a ``Retry-After`` header (RFC 9110, 10.2.3: a number of seconds, or a date); 0 for none.

    Args:
        date: The header ``Date`` of the same answer. By it a date is read: this machine's clock may be wrong.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until, now = _unix_time(value), _unix_time(date)
    return 0.0 if until is None else max(0.0, until - (time.time() if now is None else now))


def _unix_time(date: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None


def unreachable(error: Exception, where: str) -> ConnectionFailedError:
    """The error for a connection that could not be made: nothing was sent."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    if "Connect call failed" in text:  # asyncio's words, which name no reason, with the number of each address
        numbers = [int(number) for number in re.findall(r"\[Errno (\d+)\]", str(error))]
        numbers = numbers or [getattr(error, "errno", None) or errno.ECONNREFUSED]
        text = ", ".join(dict.fromkeys(os.strerror(number).lower() for number in numbers))
    return ConnectionFailedError(f"{where}: {text}", "Check that the server runs there, and the URL in --to")


def unsure(error: Exception, where: str) -> UnsureError:
    """The error for a request without an answer."""
    text = "no answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return UnsureError(f"{where}: {text}")


def reason(error: Any) -> str:
    """The text of one error: a text itself, or a field of an object."""
    if isinstance(error, dict):
        error = next((error[name] for name in ("error", "message", "reason") if name in error), error)
    return error if isinstance(error, str) else orjson.dumps(error).decode()


def _server_message(body: bytes) -> str:
    """The server's own message, on one line and shortened to ``_MAX_SHOWN`` characters."""
    try:
        value = orjson.loads(body)
        errors = (value.get("errors") or value.get("error")) if isinstance(value, dict) else None
        text = "; ".join(map(reason, errors)) if isinstance(errors, list) else reason(errors or value)
    except orjson.JSONDecodeError:
        text = body.decode(errors="replace")
    text = " ".join(text.split())
    return (text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…") or "no reason given"


def _object(body: bytes, where: str) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _no_answer(body, where) from None
    if not isinstance(value, dict):
        raise _no_answer(body, where)
    return value


def _no_answer(body: bytes, where: str) -> LoaderError:
    return SinkError(
        f"{where}: the answer is not one of runqy's API ({_server_message(body)})",
        f"Check the URL in --to; then {RESUME}",
    )


def _data_of(value: Any) -> Any:
    return (
        value["data"] if isinstance(value, dict) and value.keys() <= {"data", "timeout"} and "data" in value else value
    )


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
