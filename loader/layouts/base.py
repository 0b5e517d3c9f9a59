"""What the sink asks of a layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class QueueEncoder(Protocol):
    """Writes the tasks of one queue. Built once a job and queue, so that constant parts are encoded once.

    Attributes:
        pending_key: The list that ids are pushed to.
        slot_tag: A hash tag (with its braces) that lands in the pending key's cluster slot.
        insert_script: Lua that writes one task if its id is free: a function body over ``id`` and ``payload`` that
            returns whether it did. Used where ids come from the user.
    """

    @property
    def pending_key(self) -> bytes: ...

    @property
    def slot_tag(self) -> bytes: ...

    @property
    def insert_script(self) -> bytes: ...

    def task_key(self, task_id: bytes) -> bytes:
        """The key of a task's hash."""
        ...

    def write_tasks(self, id_prefix: bytes, suffixes: Sequence[bytes], payloads: Sequence[bytes]) -> bytes:
        """The commands, one a task, that write the hashes of tasks with generated ids."""
        ...
