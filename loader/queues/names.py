"""Queue names, and runqy's rule for those without a sub-queue."""

from __future__ import annotations

import re

from loader.errors import QueueNameError

DEFAULT_SUB_QUEUE = "default"
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f{}\ud800-\udfff]")  # surrogates: bytes that are not UTF-8


def resolve_queue(name: str, *, sub_queues: bool = True) -> str:
    """The full name of a queue, with runqy's ``.default`` fallback.

    ``inference`` becomes ``inference.default``; ``inference.high`` stays as it is (enqueueing guide,
    "Automatic Default Fallback"). Neither part may hold a dot (runqy's queue configuration).

    Args:
        sub_queues: Whether runqy's rule applies. Plain asynq has no sub-queues and uses a name as it is.

    Raises:
        QueueNameError: A part is empty, there are more than two parts, or the name holds white space, control
            characters or braces, which would break the Redis keys.
    """
    parts = name.split(".") if sub_queues else [name]
    if not all(parts):
        raise QueueNameError(f"queue name {name!r} has an empty part", "Write it as PARENT or PARENT.SUB_QUEUE")
    if len(parts) > 2:
        raise QueueNameError(f"queue name {name!r} has more than one dot", "Write it as PARENT or PARENT.SUB_QUEUE")
    if _FORBIDDEN.search(name):
        raise QueueNameError(
            f"queue name {name!r} holds white space, a control character, a brace or bytes that are not UTF-8",
            "Use plain characters",
        )
    return f"{name}.{DEFAULT_SUB_QUEUE}" if sub_queues and len(parts) == 1 else name
