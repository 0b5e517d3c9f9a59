"""Which queues exist, as far as the options tell how to know."""

from __future__ import annotations

from dataclasses import dataclass

from loader.queues.existing import QUEUES_KEY, check_queue, queues_on_server
from loader.servers.routing import Servers
from loader.settings import LoadOptions


@dataclass(frozen=True, slots=True)
class KnownQueues:
    """Queues that exist.

    Attributes:
        names: Full names; None where it is not checked which exist.
        source: What tells them, for people.
    """

    names: frozenset[str] | None
    source: str

    def check(self, queue: str | None) -> None:
        """Raises UnknownQueueError if it is known that there is no such queue. None stands for each record's own."""
        if self.names is not None and queue is not None:
            check_queue(queue, self.names, self.source)


def queues_in_file(options: LoadOptions) -> KnownQueues:
    """Those in ``--queues-file``.

    Raises:
        UsageError: The file cannot be used.
    """
    if options.queues_file is None:
        return KnownQueues(None, "")
    from loader.queues.runqy_yaml import configured_queues  # YAML takes 10 ms that only this option needs

    return KnownQueues(frozenset(configured_queues(options.queues_file)), str(options.queues_file))


async def known_queues(options: LoadOptions, in_file: KnownQueues, servers: Servers) -> KnownQueues:
    """Those in the file; without one, where ``--queue-check`` asks for it, those that the server lists.

    Raises:
        LoaderError: The server does not answer, or refuses.
    """
    if in_file.names is not None or options.queue_check == "none":
        return in_file
    names = await queues_on_server(servers.client_of(QUEUES_KEY), str(servers))
    return KnownQueues(frozenset(names), f"{QUEUES_KEY} on {servers}")
