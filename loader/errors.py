"""Every error a user can meet: what happened, where, and what to do about it."""

from __future__ import annotations

from typing import ClassVar


class LoaderError(Exception):
    """Base of all errors raised on purpose by runqy-loader.

    Attributes:
        hint: What the user must do, as one sentence; empty if the message is enough.
        code: The kind of error, for programs. It is stable. Reports have it as ``error_code``.
        exit_status: Exit status of the command line tool.
    """

    code: ClassVar[str] = "failed"
    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}. {self.hint}" if self.hint else message


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


class TooManyRejectsError(LoaderError):
    """More records were rejected than ``--max-errors`` allows."""

    code = "too_many_rejects"


class JobMismatchError(LoaderError):
    """The job in Redis was made from other sources or options."""

    code = "job_mismatch"


class JobBusyError(LoaderError):
    """Another process is loading this job, or has taken it over."""

    code = "job_busy"


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
    """A connection could not be made, or was lost."""

    code = "connection_failed"


class ResultTimeoutError(LoaderError):
    """A task was not done in time."""

    code = "result_timeout"
