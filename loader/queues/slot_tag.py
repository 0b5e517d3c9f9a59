"""The slot of a Redis Cluster in which all keys of a queue's ledgers are: that of its pending list."""

from __future__ import annotations

from loader.tasks.profiles import LayoutName


def slot_tag(layout: LayoutName, queue: str) -> bytes:
    """A hash tag (with its braces) in the slot of a queue's pending key.

    If a key has no braces, the whole key is hashed. So in layout documented, a tag that holds the pending key is in
    that key's own slot (Redis Cluster specification, "Hash tags").

    Args:
        queue: Its full name.
    """
    return (b"{%b}" if layout == "asynq" else b"{asynq:%b:pending}") % queue.encode()
