"""The dumps of both layouts by one call."""

from __future__ import annotations

from collections.abc import Sequence

from loader.layouts.compact_asynq import CompactAsynq
from loader.layouts.compact_documented import CompactDocumented
from loader.tasks.options import TaskOptions


def dumps(
    encoder: CompactDocumented | CompactAsynq,
    ids: Sequence[bytes],
    payloads: Sequence[bytes],
    options: Sequence[TaskOptions] | None,
    now_ns: int,
) -> list[bytes | None]:
    """The dump of each task; in layout documented, ids and the time are no part of it."""
    if isinstance(encoder, CompactDocumented):
        return encoder.dumps(payloads, options)
    return encoder.dumps(ids, payloads, options, now_ns)
