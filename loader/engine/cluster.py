"""The check for loads that a Redis Cluster cannot hold exactly once."""

from __future__ import annotations

from loader.errors import UsageError
from loader.servers.routing import Servers
from loader.settings import LoadOptions


def check_cluster(options: LoadOptions, servers: Servers) -> None:
    """Refuses a cluster that cannot hold the tasks.

    Raises:
        UsageError: They cannot be written there exactly once.
        TransientError: They need all slots, and some are not served now.
    """
    if options.layout_name == "documented":
        servers.require_all_slots()  # the tasks of one queue are in all of them
    if servers.is_cluster and options.layout_name == "documented" and (given := options.own_ids) is not None:
        raise UsageError(
            f"{servers} is a Redis Cluster, where the documented layout scatters a queue's keys: {given}, which must "
            "look and write in one step, cannot be used",
            "Use --layout asynq, whose workers are today's, or generated ids",
        )
