"""Translates tasks from one layout to the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

from loader.migrate.options import MigrateOptions
from loader.stored.stored_task import StoredTask
from loader.tasks.options import NEW, OWN_FIELDS, Past, TaskOptions


class Translates(Protocol):
    """Finds the target's options for tasks of the source."""

    def options_of(self, task: StoredTask) -> TaskOptions:
        """The options for the target's encoder."""
        ...

    def lost(self, task: StoredTask) -> list[str]:
        """What the task has and the target cannot hold."""
        ...


class Translation:
    """Translates tasks of either layout; see ``Translates``."""

    def __init__(self, options: MigrateOptions) -> None:
        self._options = options
        self._to_asynq = options.target_layout == "asynq"
        self._from_asynq = options.from_layout == "asynq"
        self._defaults = options.target.task_options
        self._own_fields = OWN_FIELDS[options.target_layout] | ({b"group"} if self._to_asynq else set())

    def options_of(self, task: StoredTask) -> TaskOptions:
        """The options for the target's encoder. A lock lasts as long as it would have lasted in the source.

        Fields of the hash that are not the source layout's own are kept, the lifecycle included, and so is the number
        of retries so far.
        """
        own = task.options
        if self._from_asynq == self._to_asynq:
            return replace(own, type=self._type(task), waits_in_group=False)
        lifecycle: dict[str, Any] = dict(own.lifecycle)
        return replace(
            self._defaults,
            type=self._type(task),
            max_retry=own.max_retry,
            past=Past(retried=own.past.retried),
            fields=tuple(field for field in own.fields if field[0] not in self._own_fields),
            **lifecycle,
        )

    def lost(self, task: StoredTask) -> list[str]:
        """What the task has and the target's layout cannot hold."""
        if self._from_asynq == self._to_asynq:
            return []
        own = task.options
        has: dict[str, object] = {}
        if self._from_asynq:
            names = ("timeout", "deadline", "retention", "headers", "group")
            has = {name: getattr(own, name) for name in names}
            has |= {"lock": task.lock, "last error": replace(own.past, retried=0) != NEW}
        taken = [
            f"field {name.decode(errors='backslashreplace')}" for name, _ in own.fields if name in self._own_fields
        ]
        return [name for name, value in has.items() if value] + taken

    def _type(self, task: StoredTask) -> str | None:
        if self._options.type is not None:
            return self._options.type
        if not self._from_asynq:
            # The guide's default type, 'task', has no meaning; any other type was chosen by a user.
            return None if self._to_asynq and task.options.type == "task" else task.options.type
        if task.options.type == task.queue and self._options.target_profile.sub_queues:
            return None if self._to_asynq else "task"  # runqy's default: the queue's name
        return task.options.type
