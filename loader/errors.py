"""Every error a user can meet: what happened, where, and what to do about it."""

from __future__ import annotations


class LoaderError(Exception):
    """Base of all errors raised on purpose by runqy-loader.

    Attributes:
        hint: What the user must do, as one sentence; empty where the message says it all.
        exit_status: Exit status of the command line tool.
    """

    exit_status = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}. {self.hint}" if self.hint else message


class UsageError(LoaderError):
    """An option or argument is not usable as given."""

    exit_status = 2


class QueueNameError(UsageError):
    """A queue name that breaks runqy's naming rules."""


class UnknownQueueError(LoaderError):
    """The queue is not among the configured ones."""


class SourceError(LoaderError):
    """An input cannot be found, opened, read or decompressed."""


class SourceChangedError(SourceError):
    """An input is not what it was when the job, or the run, began."""


class TooManyRejectsError(LoaderError):
    """More records were rejected than ``--max-errors`` allows."""


class JobMismatchError(LoaderError):
    """The job in Redis was made from other sources or options."""


class JobBusyError(LoaderError):
    """Another process is loading this job, or has taken it over."""


class LayoutMismatchError(LoaderError):
    """The target is used with another layout than the load's, so that its consumers would not see the tasks."""


class SinkError(LoaderError):
    """Redis refused the work; what is loaded stays loaded and the job can be resumed."""


class TransientError(SinkError):
    """A fault that time may heal: a lost connection, a timeout, a server that is loading or busy.

    Attributes:
        retry_after: Seconds for which the server asks to be left alone; 0 where it does not.
    """

    retry_after = 0.0


class ConnectionFailedError(TransientError):
    """A connection could not be made, or was lost."""


class ResultTimeoutError(LoaderError):
    """A task was not done in time."""
