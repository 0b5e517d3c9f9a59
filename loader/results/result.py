"""What became of a task, and how it is written as a line of JSON."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Literal

import orjson

ResultStatus = Literal["completed", "failed", "expired", "pending", "missing"]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What became of one task.

    Attributes:
        status: 'completed'; 'failed' for good (archived); 'expired': it was a task, and neither it nor a result is
            there any more. When waiting has ended before: 'pending', a task that is not done, and 'missing', no trace
            of which was ever seen.
        queue: Full name of its queue, where that is known.
        state: The state that its worker noted, where it notes one, such as 'active' or 'retry'.
        result: What its worker stored, byte for byte; None if it stored nothing.
        error: Why it failed, in its worker's words.
    """

    id: str
    status: ResultStatus
    queue: str | None = None
    state: str | None = None
    result: bytes | None = None
    error: str | None = None

    @property
    def value(self) -> Any:
        """The result, read as JSON; None if there is none.

        Raises:
            ValueError: It is not JSON; ``result`` has its bytes.
        """
        return None if self.result is None else orjson.loads(self.result)

    def to_json(self) -> bytes:
        """The line for the results file. The result is kept as it stands if it is JSON, else it is base64."""
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
                # Line breaks stand between the tokens of JSON only, never inside a string (RFC 8259, section 7).
                line["result"] = orjson.Fragment(self.result.translate(_ONE_LINE))
            except orjson.JSONDecodeError:
                line["result_base64"] = base64.b64encode(self.result).decode()
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


def text(value: bytes | None) -> str | None:
    """Text of a worker's, which may be any bytes."""
    return None if value is None else value.decode(errors="replace")
