"""What the sink asks of a layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loader.tasks.options import TaskOptions


class QueueEncoder(Protocol):
    """Writes the tasks of one queue. Built once a job and queue, so that constant parts are encoded once.

    Attributes:
        pending_key: The list that ids are pushed to.
        slot_tag: A hash tag (with its braces) that lands in the pending key's cluster slot.
        needs_script: Whether no task may be written by ``write_tasks``, as placing one is more than a push.
        commands_a_task: How many commands ``write_tasks`` makes of each task.
        insert_script: Lua for tasks that are written only if their id is free, or that are more than pushed. It
            defines ``key_of(id)``, the key of a task's hash, and ``write(key, at, undo)``, which writes the task whose
            arguments begin at ``ARGV[at]`` and adds to ``undo`` commands that take back what it wrote, the hash aside.
            It returns true where the id is to be pushed, false where it has been placed, else why the task is skipped,
            as a letter that ``loader.jobs.ledger`` knows. ``ARGV[3]`` is the time in nanoseconds.
        queues_key: A set that must hold the queue's name, for those who list queues; empty where there is none.
        on_other_slots: Whether tasks have keys in other cluster slots than the queue's, see ``scattered``. Only told
            of encoders that are made for a cluster.
        insert_width: Arguments that the script takes for each task, its id being the first.
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
    def insert_script(self) -> bytes: ...

    @property
    def insert_width(self) -> int: ...

    def task_key(self, task_id: bytes) -> bytes:
        """The key of a task's hash."""
        ...

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        """The commands that write the hashes of tasks with generated ids."""
        ...

    def scattered(self, ids: Sequence[bytes], payloads: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        """A key and the command on it, one a task, to be sent to the nodes that serve them before tasks are pushed."""
        ...

    def insert_arguments(
        self, ids: Sequence[bytes], payloads: Sequence[bytes], options: Sequence[TaskOptions] | None
    ) -> list[bytes]:
        """The insert script's arguments for these tasks; without options, the load's own hold."""
        ...
