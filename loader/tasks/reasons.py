"""The reasons to reject a record or a task: a code for programs, and a text for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self


class ReasonCode(StrEnum):
    """The kind of problem. Codes are stable: reports and rejects files contain them.

    Attributes:
        meaning: The common meaning of all reasons with this code, for people.
        is_conflict: Whether such a task exists already. With ``--on-conflict skip``, it is not rejected.
    """

    meaning: str
    is_conflict: bool

    def __new__(cls, code: str, meaning: str = "", is_conflict: bool = False) -> Self:
        member = str.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        member.is_conflict = is_conflict
        return member

    INVALID_JSON = "invalid_json", "not valid JSON"
    CUT_OFF = "cut_off", "not valid JSON, and the line has no line end"
    NOT_PORTABLE = "not_portable", "valid JSON that consumers do not read alike"
    TOO_LARGE = "too_large", "over the limit of --max-record-bytes, or of the server"
    EMPTY_FILE = "empty_file", "the file is empty"
    UNWRITABLE = "unwritable", "the payload cannot be written as JSON"
    BAD_ROW = "bad_row", "the row does not fit its table"
    BAD_VALUE = "bad_value", "a value has no JSON of its column's type"
    BAD_ID = "bad_id", "no usable task id"
    BAD_QUEUE = "bad_queue", "names no usable queue"
    UNKNOWN_QUEUE = "unknown_queue", "its queue does not exist"
    BAD_ENVELOPE = "bad_envelope", "an envelope or job that makes no usable task"
    BAD_SHAPE = "bad_shape", "an expression fails, or gives a wrong type"
    ID_TAKEN = "id_taken", "its task id is a task already", True
    WRONG_TYPE = "wrong_type", "its task key holds another type"
    DUPLICATE_UNIQUE = "duplicate_unique", "a unique task of this type and payload is there already", True
    ALREADY_MIGRATED = "already_migrated", "this job has put it into the target before"
    REFUSED_BY_SERVER = "refused_by_server", "refused by the server"
    UNREADABLE_TASK = "unreadable_task", "its hash is no task's"
    UNREADABLE_JOB = "unreadable_job", "a job of another system that cannot be read"
    ID_NOT_UTF8 = "id_not_utf8", "its id is not UTF-8, so JSON cannot hold it"
    NOT_ONE_LINE = "not_one_line", "its payload is not one line"
    UNKNOWN = "unknown", "a later version of the loader has noted why"


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason to reject one record or task.

    Attributes:
        hint: What to do if many records have it, as a sentence without a full stop; '' for nothing special.
    """

    code: ReasonCode
    text: str
    hint: str = field(default="", compare=False)

    @classmethod
    def of(cls, code: ReasonCode) -> Self:
        """A reason whose text is its code's meaning."""
        return cls(code, code.meaning)


class UnusableRecordError(ValueError):
    """A record or a task must be rejected."""

    def __init__(self, code: ReasonCode, text: str) -> None:
        super().__init__(text)
        self.reason = Reason(code, text)
