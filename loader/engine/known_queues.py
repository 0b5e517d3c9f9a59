"""The queues that exist, if an option gives a way to know them."""

from __future__ import annotations

from dataclasses import dataclass

from loader.queues.existing import QUEUES_KEY, check_queue, queues_on_server
from loader.servers.routing import Servers
from loader.settings import LoadOptions


@dataclass(frozen=True, slots=True)
class KnownQueues:
    """The queues that exist.

    Attributes:
        names: Full names; None if this is not checked.
        source: Where the names come from, for messages.
    """

    names: frozenset[str] | None
    source: str

    def check(self, *queues: str) -> None:
        """Raises UnknownQueueError if one of these queues is known not to exist."""
        if self.names is not None:
            for queue in queues:
                check_queue(queue, self.names, self.source)


def queues_in_file(options: LoadOptions) -> KnownQueues:
    """The queues in ``--queues-file``.

    Raises:
        UsageError: The file cannot be used.
    """
    if options.queues_file is None:
        return KnownQueues(None, "")
    from loader.queues.runqy_yaml import configured_queues  # importing YAML takes 10 ms, and only this option needs it

    return KnownQueues(frozenset(configured_queues(options.queues_file)), str(options.queues_file))


async def known_queues(options: LoadOptions, in_file: KnownQueues, servers: Servers) -> KnownQueues:
    """The queues in the file. Without a file, and with ``--queue-check redis``, the queues that the server lists.

    Raises:
        LoaderError: The server does not answer, or refuses.
    """
    if in_file.names is not None or options.queue_check == "none":
        return in_file
    names = await queues_on_server(servers.client_of(QUEUES_KEY), str(servers))
    return KnownQueues(frozenset(names), f"{QUEUES_KEY} on {servers}")
