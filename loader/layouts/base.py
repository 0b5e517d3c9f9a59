"""The interface of a layout to the sinks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from loader.tasks.options import TaskOptions


class QueueEncoder(Protocol):
    """Encodes the tasks of one queue. One is made for each job and queue, so that constant parts are encoded once.

    Attributes:
        pending_key: The key of the list that ids are pushed to.
        slot_tag: A hash tag (with its braces) in the cluster slot of the pending key.
        needs_script: Whether ``write_tasks`` must not be used, because placing a task takes more than a push.
        commands_a_task: The number of commands that ``write_tasks`` makes for each task.
        insert_script: Lua for tasks that are written only if their id is free, or whose placing takes more than a push.
            It defines two functions. ``key_of(id)`` returns the key of a task's hash. ``write(key, at, undo)`` writes
            the task whose arguments begin at ``ARGV[at]`` if the key is free, and adds to ``undo`` what takes back what
            it wrote: keys to delete, and commands. ``write`` returns true if the caller must push the id, false if the
            id has been placed; otherwise it returns why the task is skipped, as a letter that ``loader.jobs.ledger``
            decodes: '' if the key exists.
            ``ARGV[3]`` is the time in nanoseconds.
        queues_key: A set that must hold the queue's name, for programs that list queues; empty if there is no such set.
        on_other_slots: Whether tasks have keys in cluster slots other than the queue's, see ``write_elsewhere``.
            True only for encoders that are made for a cluster.
        elsewhere: What these keys begin with; the task's id follows.
        insert_width: The number of arguments that the script takes for each task; the first is the task's id.
        is_compact: Whether tasks are dumps, as far as possible. The reply to the RESTORE of a dump is OK, or the error
            BUSYKEY if the key exists; the reply to an HSET is a number.
    """

    @property
    def pending_key(self) -> bytes: ...

    @property
    def slot_tag(self) -> bytes: ...

    @property
    def needs_script(self) -> bool: ...

    @property
    def commands_a_task(self) -> int: ...

    @property
    def queues_key(self) -> str: ...

    @property
    def on_other_slots(self) -> bool: ...

    @property
    def elsewhere(self) -> bytes: ...

    @property
    def insert_script(self) -> bytes: ...

    @property
    def insert_width(self) -> int: ...

    @property
    def is_compact(self) -> bool: ...

    def task_key(self, task_id: bytes) -> bytes:
        """The key of a task's hash."""
        ...

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        """The commands that write the hashes of tasks with generated ids."""
        ...

    def write_elsewhere(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        """The commands that write the keys in other slots of tasks with generated ids, one command a task.

        They must be sent to the node that serves these keys, before the tasks are pushed.
        """
        ...

    def other_slot_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        """For each task, with an id of any kind, its key in another slot and the command on it."""
        ...

    def rewrite_commands(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        """In place of ``other_slot_commands``, for tasks whose key exists. What is written already is left as it is."""
        ...

    def insert_arguments(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None
    ) -> list[bytes]:
        """The insert script's arguments for these tasks. Without options, the load's own options apply."""
        ...

    def count_dumps(self, arguments: Sequence[bytes], skipped: Iterable[int]) -> int:
        """The number of tasks in arguments of the insert script that are dumps, without those at skipped positions."""
        ...
