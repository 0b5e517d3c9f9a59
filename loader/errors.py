"""Every error a user can meet: what happened, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


def with_hint(message: str, hint: str) -> str:
    """A message, and what to do as a sentence behind it, if anything."""
    end = "" if message.endswith("?") else "."
    return f"{message}{end} {hint}" if hint else message


class LoaderError(Exception):
    """Base of all errors raised on purpose by runqy-loader.

    Attributes:
        hint: What the user must do, as one sentence; empty if the message is enough.
        details: Lines that belong between the message and the hint, for an error that concerns several things.
        code: The kind of error, for programs. It is stable. Reports have it as ``error_code``.
        exit_status: Exit status of the command line tool.
    """

    code: ClassVar[str] = "failed"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = tuple(details)

    def __str__(self) -> str:
        message = super().__str__()
        if self.details:
            return "\n".join([f"{message}:", *(f"  {line}" for line in self.details), self.hint])
        return with_hint(message, self.hint)


class UsageError(LoaderError):
    """An option or argument cannot be used as given."""

    code = "usage"
    exit_status = 2


class QueueNameError(UsageError):
    """A queue name breaks runqy's naming rules."""

    code = "queue_name"


class UnknownQueueError(LoaderError):
    """The queue is not among the configured ones, or its name is nearly that of a queue that workers serve."""

    code = "unknown_queue"


class SourceError(LoaderError):
    """An input cannot be found, opened, read or decompressed."""

    code = "source_failed"


class SourceChangedError(SourceError):
    """An input has changed since the job, or the run, began."""

    code = "source_changed"


class SourceFormatError(SourceError):
    """The content of an input is not what its name or ``--format`` says."""

    code = "source_format"


class TooManyRejectsError(LoaderError):
    """More records were rejected than ``--max-errors`` allows."""

    code = "too_many_rejects"


class RejectStormError(TooManyRejectsError):
    """Too many of the first records are bad. Nothing was loaded, and no trace of the job is left."""

    code = "reject_storm"


class AlreadyLoadedError(LoaderError):
    """Another job has loaded a source into the same queue."""

    code = "already_loaded"


class RolledBackError(LoaderError):
    """The job is being rolled back, or was, and some of its tasks had been taken by then."""

    code = "rolled_back"


class JobMismatchError(LoaderError):
    """The job was begun with other input, or for another place."""

    code = "job_mismatch"


class JobBusyError(LoaderError):
    """Another process is loading this job, or has taken it over.

    Attributes:
        taken_over: Whether the other process has taken the job over from this run, which may write nothing more.
        loading: Whether the other process loads the job.
    """

    code = "job_busy"
    taken_over = False
    loading = False


class LayoutMismatchError(LoaderError):
    """The target is used with another layout than the load's, so that its consumers would not see the tasks.

    Also: the server is used in a way that does not tell which layout to choose.
    """

    code = "layout_mismatch"


class ScheduleError(LoaderError):
    """The tasks have a start time, and nothing on the server would run them when they are due."""

    code = "never_scheduled"


class SinkError(LoaderError):
    """Redis refused the work; what is loaded stays loaded and the job can be resumed."""

    code = "sink_failed"


class TransientError(SinkError):
    """A fault that may pass: a lost connection, a timeout, a server that is loading or busy.

    Attributes:
        retry_after: Seconds that the server asks to wait; 0 if it does not ask.
    """

    code = "server_unavailable"
    retry_after = 0.0


class ConnectionFailedError(TransientError):
    """A connection could not be made, or was lost.

    Attributes:
        closed: Whether the other side has closed an open connection.
        announced: Whether a server that answers has told the address, such as that of a cluster's node. The server
            there is then more likely away for a time than misspelt.
    """

    code = "connection_failed"
    closed = False
    announced = False


class RefusedNowError(TransientError):
    """The server refuses writes, and may accept them again by itself: after a failover, or once its disk has room.

    Attributes:
        condition: The code of its reply, such as ``READONLY``.
        brief: The message without the reply and the place, which differ from step to step.
    """

    code = "refused_now"

    def __init__(self, message: str, hint: str = "", condition: str = "", brief: str = "") -> None:
        super().__init__(message, hint)
        self.condition = condition
        self.brief = brief or message


class OversizedError(SinkError):
    """The server refuses the size of a value: a record is larger than its limits allow."""

    code = "too_large_for_server"


class MemoryLimitError(SinkError):
    """The server's memory has reached the limit of ``--stop-at-memory``, or cannot hold the load."""

    code = "memory_limit"


class EvictedError(SinkError):
    """The server evicted keys during the load, and tasks may be among them."""

    code = "evicted"


class ResultTimeoutError(LoaderError):
    """A task was not done in time."""

    code = "result_timeout"
