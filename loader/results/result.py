"""The result of a task, and its form as a line of JSON."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Literal

import orjson

ResultStatus = Literal["completed", "failed", "expired", "pending", "missing"]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """The result of one task, or its state if it is not done.

    Attributes:
        status: 'completed'; 'failed' finally (archived); 'expired': the task existed, and neither the task nor a result
            exists any more. If the wait ended first: 'pending', a task that is not done, or 'missing', a task of which
            no trace was seen.
        queue: Full name of its queue, if known.
        state: The state that its worker stored, such as 'active' or 'retry', if the worker stores states.
        result: The bytes that its worker stored; None if it stored nothing.
        error: Why it failed, as its worker reported it.
    """

    id: str
    status: ResultStatus
    queue: str | None = None
    state: str | None = None
    result: bytes | None = None
    error: str | None = None

    @property
    def value(self) -> Any:
        """The result, parsed as JSON; None if there is none.

        Raises:
            ValueError: The result is not JSON; ``result`` has its bytes.
        """
        return None if self.result is None else orjson.loads(self.result)

    def to_json(self) -> bytes:
        """The line for the results file. A result that is JSON is kept as it is; any other is written as base64."""
        line: dict[str, Any] = {"id": self.id}
        if self.queue is not None:
            line["queue"] = self.queue
        line["status"] = self.status
        if self.state is not None and self.status in ("pending", "missing"):
            line["state"] = self.state
        if self.error is not None:
            line["error"] = self.error
        if self.result is not None:
            try:
                orjson.loads(self.result)
                # In JSON, line breaks occur only between tokens, never inside a string (RFC 8259, section 7).
                line["result"] = orjson.Fragment(self.result.translate(_ONE_LINE))
            except orjson.JSONDecodeError:
                line["result_base64"] = base64.b64encode(self.result).decode()
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def text(value: bytes | None) -> str | None:
    """Text that a worker stored, which may be any bytes."""
    return None if value is None else value.decode(errors="replace")
