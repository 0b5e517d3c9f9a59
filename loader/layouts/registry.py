"""Layouts by name. A new layout is one new module and one line here."""

from __future__ import annotations

from collections.abc import Callable

from loader.errors import UsageError
from loader.layouts.asynq import AsynqEncoder
from loader.layouts.base import QueueEncoder
from loader.layouts.documented import DocumentedEncoder
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.tasks.profiles import LayoutName


def _documented(options: LoadOptions, queue: str, cluster: bool) -> QueueEncoder:
    tasks = options.task_options
    return DocumentedEncoder(queue, tasks.type or queue, tasks.max_retry, cluster=cluster)


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
    return _ENCODERS[options.layout](options, queue, cluster)


def check_cluster(options: LoadOptions, servers: Servers) -> None:
    """Raises UsageError if the server is a cluster, and the tasks cannot be written exactly once there."""
    if servers.is_cluster and options.layout == "documented" and (options.id_field is not None or options.envelope):
        given = "--envelope" if options.envelope else "--id-field"
        raise UsageError(
            f"{servers} is a Redis Cluster, where the documented layout scatters a queue's keys: {given}, which must "
            "look and write in one step, cannot be used",
            "Use --layout asynq, whose workers are today's, or generated ids",
        )
