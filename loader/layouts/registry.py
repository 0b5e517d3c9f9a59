"""Layouts by name. A new layout is one new module and one line here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from loader.layouts.asynq import AsynqEncoder
from loader.layouts.base import QueueEncoder
from loader.layouts.compact import Dumps
from loader.layouts.compact_asynq import CompactAsynq
from loader.layouts.compact_documented import CompactDocumented
from loader.layouts.documented import DocumentedEncoder
from loader.layouts.listpack import DisputedSizeError
from loader.settings import LoadOptions
from loader.tasks.profiles import LayoutName


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an encoder is for; see ``encoder_for``."""

    cluster: bool
    compact: Dumps | None
    look_up: bool


def _documented(options: LoadOptions, queue: str, wanted: _Wanted) -> QueueEncoder:
    tasks = options.task_options
    if wanted.compact:
        with suppress(DisputedSizeError):
            return CompactDocumented(
                queue, tasks.type or queue, tasks.max_retry, cluster=wanted.cluster, compact=wanted.compact
            )
    return DocumentedEncoder(
        queue, tasks.type or queue, tasks.max_retry, cluster=wanted.cluster, further_fields=options.envelope
    )


def _asynq(options: LoadOptions, queue: str, wanted: _Wanted) -> QueueEncoder:
    tasks, look_up = options.task_options, options.defaults.reverse_lookup and wanted.look_up
    if wanted.compact:
        return CompactAsynq(
            queue,
            tasks,
            reverse_lookup=look_up,
            cluster=wanted.cluster,
            compact=wanted.compact,
            own_options=options.envelope,
        )
    return AsynqEncoder(queue, tasks, reverse_lookup=look_up, cluster=wanted.cluster)


_ENCODERS: dict[LayoutName, Callable[[LoadOptions, str, _Wanted], QueueEncoder]] = {
    "documented": _documented,
    "asynq": _asynq,
}


def encoder_for(
    options: LoadOptions, queue: str, *, cluster: bool = False, compact: Dumps | None = None, look_up: bool = True
) -> QueueEncoder:
    """The encoder of the options' layout for one queue (its full name).

    Args:
        cluster: Whether the tasks go to a Redis Cluster.
        compact: Which tasks are dumped, and how; None for no dumps. ``preflight.compact`` knows it.
        look_up: Whether runqy's look-up key is written, where the profile has one.
    """
    return _ENCODERS[options.layout_name](options, queue, _Wanted(cluster, compact, look_up))
