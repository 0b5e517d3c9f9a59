"""Layouts by name. A new layout is one new module and one line here."""

from __future__ import annotations

from collections.abc import Callable

from loader.layouts.asynq import AsynqEncoder
from loader.layouts.base import QueueEncoder
from loader.layouts.documented import DocumentedEncoder
from loader.settings import LoadOptions
from loader.tasks.profiles import LayoutName


def _documented(options: LoadOptions, queue: str, cluster: bool) -> QueueEncoder:
    tasks = options.task_options
    return DocumentedEncoder(
        queue, tasks.type or queue, tasks.max_retry, cluster=cluster, further_fields=options.envelope
    )


def _asynq(options: LoadOptions, queue: str, cluster: bool) -> QueueEncoder:
    reverse_lookup = options.defaults.reverse_lookup
    return AsynqEncoder(queue, options.task_options, reverse_lookup=reverse_lookup, cluster=cluster)


_ENCODERS: dict[LayoutName, Callable[[LoadOptions, str, bool], QueueEncoder]] = {
    "documented": _documented,
    "asynq": _asynq,
}


def encoder_for(options: LoadOptions, queue: str, *, cluster: bool = False) -> QueueEncoder:
    """The encoder of the options' layout for one queue (its full name).

    Args:
        cluster: Whether the tasks go to a Redis Cluster.
    """
    return _ENCODERS[options.layout_name](options, queue, cluster)
