"""Which server holds a key: the single server, or one of the primaries of a Redis Cluster."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import hiredis

from loader.errors import ConnectionFailedError, LoaderError, TransientError
from loader.servers.closing import close_quietly
from loader.servers.first_contact import first_contact
from loader.servers.slot_map import SlotMap, slot_map
from loader.servers.value_limit import ValueLimit
from loader.wire.address import Address
from loader.wire.client import Client, Guard
from loader.wire.faults import from_reply, translated
from loader.wire.replies import parse_clients
from loader.wire.slots import checksums, key_slot

log = logging.getLogger("runqy_loader")

_KEYS_OF_TWO_SLOTS = ("runqy-loader:{a}", "runqy-loader:{b}")


class Servers:
    """The server that the user named and, if it belongs to a cluster, the other primaries.

    Args:
        address: The server that the user named.
        timeout: Seconds for connecting and for each reply.

    Attributes:
        accepts_names: Whether the servers accept the names that connections are given.
        holds_job: Whether the job's record is known to be there. Before that, a refusal of writes (by a replica, for
            example) is more likely a mistake of the user than a failover.
        is_reached: Whether the servers have been reached.
        largest_value: The longest value that all servers accept; None if it is not known.
        info: The reply to INFO of each primary before the load, or the error in its place.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self.address = address
        self.accepts_names = True
        self.holds_job = False
        self.is_reached = False
        self.largest_value: ValueLimit | None = None
        self.info: Mapping[Address, Any] = {}
        self._timeout = timeout
        self._clients: dict[Address, Client] = {}
        self._name = ""
        self._guard: Guard | None = None
        self._slots: SlotMap | None = None  # of a cluster
        self._table: tuple[list[Address], list[int]] | None = None  # made of it at first use
        self._only_says_cluster = False

    def __str__(self) -> str:
        return str(self.address)

    @property
    def is_cluster(self) -> bool:
        return self._slots is not None

    @property
    def cluster_size(self) -> int | None:
        """The number of primaries of a cluster. 0 for a single server; None for one that says that it is a cluster."""
        return len(self.primaries()) if self.is_cluster else None if self._only_says_cluster else 0

    async def reach(self, name: str | None = None) -> None:
        """Checks that the server answers, and whether it is in a cluster.

        Args:
            name: See ``name``; None to name no connection yet.

        Raises:
            LoaderError: The server does not answer.
        """
        await first_contact(self.address, self.client_at(self.address).connect)
        await self.refresh()
        if name is not None:
            await self.name(name)

    async def name(self, name: str) -> None:
        """Names the connections, where that is allowed.

        Raises:
            LoaderError: A server does not answer.
        """
        for address in self.primaries():
            try:
                await self._set_name(address, name)
            except ConnectionFailedError as error:
                raise self.located(error, address) from error

    async def _set_name(self, address: Address, name: str) -> None:
        with translated(str(address)):
            try:
                await self.client_at(address).set_name(name)
            except hiredis.ReplyError as error:
                self.accepts_names = False
                log.debug("the server refuses CLIENT SETNAME: %s", error)

    def located(self, error: ConnectionFailedError, address: Address) -> ConnectionFailedError:
        """The error for a node that cannot be reached: for one that the user did not name, with where its address is
        from."""
        if address == self.address or self._slots is None:
            return error
        located = ConnectionFailedError(
            f"{error.args[0]} (a cluster node, at the address that {self._slots.asked} announces for it)",
            "If this machine cannot reach that address, set cluster-announce-ip and cluster-announce-port on the node, "
            "or run the loader inside the cluster's network",
        )
        located.announced = True
        return located

    async def refresh(self) -> None:
        """Reads which node serves which slots, if this is a cluster.

        Raises:
            TransientError: No node answers, or none serves a slot.
        """
        failure: LoaderError | None = None
        for address in dict.fromkeys([*self.primaries(), self.address]):
            try:
                await self._read_slots(address)
            except TransientError as error:
                failure = error
            else:
                self.is_reached = True
                return
        if failure is not None:
            raise failure

    async def _read_slots(self, address: Address) -> None:
        try:
            with translated(str(address)):
                ranges = await self.client_at(address).execute("CLUSTER", "SLOTS")
        except TransientError:
            raise
        except LoaderError as error:
            # This is not a cluster ("cluster support disabled"), the server is old, or the user has no right to ask.
            log.debug("treated as a single server: %s", error.args[0])
            return
        found = await slot_map(ranges, self.address, address)
        if not found.primaries:
            raise TransientError(f"{address}: the cluster does not serve any slot", "Wait until it does")
        if self._slots is None and found.is_one_node and await self._takes_all_keys_at_once(address):
            self._only_says_cluster = True
            return
        if (missing := found.missing) and (self._slots is None or self._slots.missing != missing):
            log.warning("%s; tasks and records of jobs in these slots wait", found.not_served().args[0])
        self._take(found)

    def _take(self, found: SlotMap) -> None:
        """From now on, these nodes serve these slots."""
        self._slots, self._table = found, None

    async def _takes_all_keys_at_once(self, address: Address) -> bool:
        """Whether a server takes keys of several slots in one command. No node of a Redis Cluster does.

        Some single servers answer CLUSTER SLOTS with themselves, for clients that expect a cluster (miniredis 2.40).
        The address that they announce may be one that only they know.
        """
        with translated(str(address)):
            try:
                await self.client_at(address).execute("EXISTS", *_KEYS_OF_TWO_SLOTS)
            except hiredis.ReplyError as error:  # CROSSSLOT or CLUSTERDOWN, or the user has no right to ask
                log.debug("treated as a cluster of one node: %s", error)
                return False
        log.debug("%s announces itself as a cluster, and is none", address)
        return True

    def require_all_slots(self) -> None:
        """Raises TransientError if some slots are not served now."""
        if self._slots is not None and self._slots.missing:
            raise self._slots.not_served()

    def owners(self) -> list[Address | None]:
        """The primary of each slot of a cluster; of no cluster, the only server."""
        return [self.address] if self._slots is None else self._slots.owners()

    def serves(self, key: bytes | str) -> bool:
        """Whether some node serves a key now."""
        try:
            self.address_of(key)
        except TransientError:
            return False
        return True

    def address_of(self, key: bytes | str) -> Address:
        """The node that serves a key.

        Raises:
            TransientError: No node of the cluster serves it now.
        """
        if self._slots is None:
            return self.address
        return self._slots.node_of(key if isinstance(key, bytes) else key.encode())

    def by_node(self, keys: Sequence[bytes]) -> dict[Address, list[int]]:
        """The positions of keys, by the node that serves them.

        Raises:
            TransientError: No node of the cluster serves one of them now.
        """
        if self._slots is None:
            return {self.address: list(range(len(keys)))} if keys else {}
        found: dict[Address, list[int]] = {}
        for position, key in enumerate(keys):
            found.setdefault(self._slots.node_of(key), []).append(position)
        return found

    def parts(self, before: bytes, ends: Sequence[bytes]) -> list[Sequence[int]]:
        """The positions of keys that begin alike and hold no braces, one part for each node that serves some of them.

        Raises:
            TransientError: No node of the cluster serves one of them now.
        """
        if self._slots is None:
            return [range(len(ends))]
        if self._table is None:
            self._table = self._slots.by_checksum()
        nodes, numbers = self._table
        found: list[list[int]] = [[] for _ in [*nodes, None]]  # the last one is for keys that no node serves
        # Hot path: about 130 ns a key.
        adds = [one.append for one in found]
        for position, number in enumerate(map(numbers.__getitem__, checksums(before, ends))):
            adds[number](position)
        if found[-1]:
            key = before + ends[found[-1][0]]
            raise self._slots.not_served(f"key {key.decode(errors='replace')}, slot {key_slot(key)}: ")
        return [one for one in found if one]

    def client_of(self, key: bytes | str) -> Client:
        """A client of the node that serves a key."""
        return self.client_at(self.address_of(key))

    def clients(self) -> list[Client]:
        """A client for each primary."""
        return [self.client_at(address) for address in self.primaries()]

    def primaries(self) -> list[Address]:
        """The address of each primary, in the order of ``clients``."""
        return list(dict.fromkeys(self._slots.primaries if self._slots is not None else [self.address]))

    def client_at(self, address: Address) -> Client:
        """A client of one of ``primaries``."""
        if address not in self._clients:
            self._clients[address] = Client(address, self._timeout, self._name, self._guard)
        return self._clients[address]

    def guard_with(self, guard: Guard | None, name: str = "") -> None:
        """Leaves the connections. All further ones have this name, and send only what the guard lets pass.

        Args:
            guard: None to send everything again.
        """
        self._name, self._guard = name, guard
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.renew()

    def beside(self) -> Servers:
        """The same servers over other connections, which no guard holds back."""
        return Servers(self.address, self._timeout)

    async def reconnect(self) -> None:
        """Leaves the connections, and reads again which node serves which slots.

        The fault that broke one connection has most likely broken these as well, and each would cost a retry.
        """
        for client in list(self._clients.values()):
            client.renew()
        if self.is_cluster:
            await self.refresh()

    async def aclose(self) -> None:
        for client in list(self._clients.values()):  # whoever still asks adds clients
            await close_quietly(client.aclose())


async def list_clients(client: Client, where: str) -> list[dict[str, str]] | None:
    """The connections of a server; None if the server does not tell them.

    A list counts only if each line has an id and a name, and if the connection that asks is in it, where it has a name:
    proxies and servers of other makes answer with lists of something else.

    Raises:
        LoaderError: The server does not answer.
    """
    with translated(where):
        try:
            reply = await client.execute("CLIENT", "LIST")
        except hiredis.ReplyError as error:
            if isinstance(from_reply(str(error), where), TransientError):
                raise
            log.debug("the server refuses CLIENT LIST: %s", error)
            return None
    found = parse_clients(reply) if isinstance(reply, bytes) else []
    if not all({"id", "name"} <= one.keys() for one in found):
        log.debug("the server's reply to CLIENT LIST has lines without id or name")
        return None
    if not found or (client.name and all(one["name"] != client.name for one in found)):
        log.debug("the server's reply to CLIENT LIST does not list the connection that asks")
        return None
    return found
