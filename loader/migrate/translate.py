"""Translates tasks from one layout to the other."""

from __future__ import annotations

from dataclasses import replace

from loader.layouts.task_message import TaskMessage, history
from loader.migrate.options import MigrateOptions
from loader.stored.stored_task import StoredTask
from loader.tasks.options import LIFECYCLE, TaskOptions

_DOCUMENTED_FIELDS = {b"type", b"payload", b"retry", b"max_retry", b"queue"}
_ASYNQ_FIELDS = {b"msg", b"state", b"pending_since", b"unique_key", *(name.encode() for name in LIFECYCLE)}


class Translation:
    """Finds the target's options for tasks of the source."""

    def __init__(self, options: MigrateOptions) -> None:
        self._options = options
        self._to_asynq = options.target_layout == "asynq"
        self._from_asynq = options.from_layout == "asynq"
        self._defaults = options.target.task_options

    def options_of(self, task: StoredTask) -> TaskOptions:
        """The options for the target's encoder. A lock lasts as long as it would have lasted in the source."""
        own = task.options
        if self._to_asynq and self._from_asynq:
            return replace(own, type=self._type(task))
        return replace(self._defaults, type=self._type(task), max_retry=own.max_retry)

    def _type(self, task: StoredTask) -> str | None:
        if self._options.type is not None:
            return self._options.type
        if not self._from_asynq:
            # The guide's default type, 'task', has no meaning; any other type was chosen by a user.
            return None if self._to_asynq and task.options.type == "task" else task.options.type
        if task.options.type == task.queue and self._options.target_profile.sub_queues:
            return None if self._to_asynq else "task"  # runqy's default: the queue's name
        return task.options.type

    def carried(self, task: StoredTask) -> bytes:
        """Further fields for the task's hash, as netstrings: name, value, name, value …

        If the layout stays the same, all fields of the hash that are not the layout's own are kept. The number of
        retries so far is kept in both layouts.
        """
        fields: dict[bytes, bytes] = {}
        if self._from_asynq == self._to_asynq:
            own = _ASYNQ_FIELDS if self._to_asynq else _DOCUMENTED_FIELDS
            fields = {name: value for name, value in task.fields.items() if name not in own}
        if not self._to_asynq and task.retried:
            fields[b"retry"] = b"%d" % task.retried
        return b"".join(b"%d:%b" % (len(part), part) for pair in fields.items() for part in pair)

    def with_history(self, task: StoredTask, arguments: list[bytes]) -> list[bytes]:
        """The encoder's arguments for a task. In the asynq layout, the task's history is added to its message."""
        if self._to_asynq:
            message = task.message or TaskMessage(retried=task.retried)
            arguments[1] += history(message)  # id, message, …: see loader.layouts.asynq
        return arguments
