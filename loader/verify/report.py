"""What a comparison has found: the source of the summary, the JSON report and the exit status."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import orjson

from loader.jobs.report import RunReport

_EXAMPLES = 10


class Kind(StrEnum):
    """A kind of difference between the input and Redis."""

    MISSING = "missing"
    NOT_PUSHED = "not_pushed"
    CHANGED = "changed"
    WRONG_QUEUE = "wrong_queue"
    WRONG_TYPE = "wrong_type"
    UNLISTED = "unlisted"
    WITHOUT_HASH = "without_hash"
    TWICE = "twice"
    EXTRA = "extra"
    GONE = "gone"

    @property
    def meaning(self) -> str:
        """The difference in words, for people."""
        return _MEANINGS[self]


_MEANINGS = {
    Kind.MISSING: "not loaded, and not in Redis",
    Kind.NOT_PUSHED: "written, but not put into the queue",
    Kind.CHANGED: "in Redis with another payload",
    Kind.WRONG_QUEUE: "in another queue",
    Kind.WRONG_TYPE: "its key holds something else",
    Kind.UNLISTED: "pending, but not in the list: no worker sees it",
    Kind.WITHOUT_HASH: "in the list without a hash: no worker can run it",
    Kind.TWICE: "in the pending list more than once",
    Kind.EXTRA: "an id of this job that the input does not have",
    Kind.GONE: "loaded, but no longer there",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes:
        place: Source and line of the record; '' if only Redis has the task.
        detail: More about it; '' for nothing.
    """

    kind: Kind
    id: str
    queue: str
    place: str = ""
    detail: str = ""

    def to_dict(self) -> dict[str, str]:
        return {
            "kind": self.kind.value,
            "id": self.id,
            "queue": self.queue,
            "place": self.place,
            "detail": self.detail,
        }

    def to_json(self) -> bytes:
        """The difference as a line of JSON."""
        return orjson.dumps(self.to_dict(), option=orjson.OPT_APPEND_NEWLINE)


@dataclass(slots=True)
class VerifyReport(RunReport):
    """Counts of a comparison, updated as it runs.

    Attributes:
        job: Name of the job.
        recorded: Whether the server has a record of the job. Without one, what was loaded and taken cannot be told from
            what was never loaded.
        input_read: Whether the input was compared; if not, the job's ledgers were.
        records_read: Records of the input, or of the batches in the ledgers.
        unknown_batches: Batches of which the ledgers do not say which records they hold: an earlier version has loaded
            them.
        invalid: Records that no load takes.
        not_sampled: Tasks that ``sample`` leaves out.
        compared: Tasks looked up.
        same: Tasks that are in Redis as the input has them.
        states: The same by state; 'stored' in the documented layout, whose hashes hold no state.
        gone: Tasks that were loaded and are no longer there: finished and deleted by a worker, expired, or lost.
        set_aside: Records that the load has not placed, because their id or their lock was taken.
        lists_read: Whether the pending lists were compared as well.
        undrained: Whether tasks that are gone count as differences.
        found: The number of differences of each kind, without those that are gone.
        examples: The first differences.
    """

    job: str
    layout: str
    recorded: bool = False
    input_read: bool = True
    records_read: int = 0
    unknown_batches: int = 0
    invalid: int = 0
    not_sampled: int = 0
    compared: int = 0
    same: int = 0
    states: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    set_aside: int = 0
    lists_read: bool = False
    undrained: bool = False
    found: Counter[Kind] = field(default_factory=Counter)
    examples: list[Difference] = field(default_factory=list)
    write: Callable[[bytes], None] | None = None

    @property
    def differences(self) -> int:
        """The number of all differences."""
        return self.found.total() + (self.gone if self.undrained else 0)

    def add(self, difference: Difference) -> None:
        """Counts a difference, and notes it."""
        self.found[difference.kind] += 1
        self.note(difference)

    def note(self, difference: Difference) -> None:
        """Notes a difference that is counted elsewhere."""
        if len(self.examples) < _EXAMPLES:
            self.examples.append(difference)
        if self.write is not None:
            self.write(difference.to_json())

    @property
    def exit_status(self) -> int:
        """0 no difference; 1 failed; 3 differences; 130 interrupted."""
        return self._exit_status(self.differences)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/verify.md for its fields."""
        return {
            "job": self.job,
            "layout": self.layout,
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            "recorded": self.recorded,
            "input_read": self.input_read,
            "records_read": self.records_read,
            "unknown_batches": self.unknown_batches,
            "invalid": self.invalid,
            "not_sampled": self.not_sampled,
            "compared": self.compared,
            "same": self.same,
            "states": dict(self.states),
            "gone": self.gone,
            "set_aside": self.set_aside,
            "lists_read": self.lists_read,
            "differences": self.differences,
            "by_kind": {kind.value: self.found[kind] for kind in Kind if kind is not Kind.GONE},
            "examples": [example.to_dict() for example in self.examples],
            "seconds": round(self.seconds, 3),
        }
