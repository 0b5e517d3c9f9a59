"""Opens connections. For a server that Sentinel watches, each connection asks anew which server is the primary.

See "Guidelines for Redis clients" in Redis's documentation of Sentinel: a client asks one Sentinel after the other, and
asks the server whether it is a primary.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import hiredis

from loader.errors import ConnectionFailedError, LoaderError, SinkError, TransientError
from loader.wire.address import Address, Sentinels
from loader.wire.connection import Connection
from loader.wire.faults import code_of, from_reply
from loader.wire.resp import command

_SENTINEL_SECONDS = 3.0
"""How long one Sentinel may take to answer, before the next one is asked."""

_WATCH_SECONDS = 2.0
"""How often a connection's server is compared with the one that Sentinel names."""


async def open_connection(address: Address, name: str, timeout: float) -> Connection:
    """Connects, logs in, selects the database and takes a name, if one is given.

    Args:
        timeout: Seconds for connecting, and without any reply after which the connection counts as lost.

    Raises:
        TransientError: The connection fails, the server is still loading its data, or a failover is going on.
        SinkError: The server refuses the login or the database, or Sentinel does not know the service.
    """
    if address.sentinels is None:
        return await Connection.open(address, name, timeout)
    primary = await primary_of(address, timeout)
    try:
        connection = await Connection.open(primary, name, timeout)
    except ConnectionFailedError as error:
        raise _told(error, address.sentinels) from error
    try:
        await _require_primary(connection, primary, address.sentinels)
    except BaseException:
        connection.abort()
        raise
    connection.attend(asyncio.create_task(_watch(connection, primary, address, timeout)))
    return connection


async def _watch(connection: Connection, primary: Address, address: Address, timeout: float) -> None:
    """Closes the connection once Sentinel names another primary.

    In a failover that an operator asks for, the old primary goes on to accept writes for seconds. They are lost when it
    becomes a replica, which may be after the end of the load.
    """
    assert address.sentinels is not None  # noqa: S101 - see open_connection
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_WATCH_SECONDS):
                await connection.wait_closed()
                return
        try:
            named = await primary_of(address, timeout)
        except LoaderError:
            continue  # no Sentinel answers, which alone does not hurt the connection
        if (named.host, named.port) != (primary.host, primary.port):
            service = address.sentinels.service
            connection.give_up(
                ConnectionFailedError(f"{primary} is the primary of {service} no longer: Sentinel names {named}")
            )
            return


async def primary_of(address: Address, timeout: float) -> Address:
    """The primary of a service, as the first Sentinel says that answers and knows it.

    Raises:
        ConnectionFailedError: No Sentinel answers.
        SinkError: None of those that answer knows the service.
    """
    assert address.sentinels is not None  # noqa: S101 - the caller has looked
    service = address.sentinels.service
    failed: list[ConnectionFailedError] = []
    refused: LoaderError | None = None
    for sentinel in address.sentinels.addresses:
        try:
            host, port = await _ask(sentinel, service, min(timeout, _SENTINEL_SECONDS))
        except ConnectionFailedError as error:
            failed.append(error)
        except LoaderError as error:
            refused = refused or error
        else:
            return replace(address, host=host, port=port, sentinels=None)
    if refused is not None:
        raise refused
    reasons = "; ".join(error.args[0] for error in failed)
    raise ConnectionFailedError(f"no Sentinel of {service} answers: {reasons}", "Check the addresses in --redis")


async def _ask(sentinel: Address, service: str, timeout: float) -> tuple[str, int]:
    where = f"Sentinel {sentinel}"
    try:
        connection = await Connection.open(sentinel, "", timeout)
    except ConnectionFailedError:
        raise
    except LoaderError as error:
        raise _of_sentinel(error, where) from error
    try:
        (reply,) = await connection.call(command(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", service.encode()), 1)
        if isinstance(reply, list) and len(reply) == 2:
            return _text(reply[0]), int(reply[1])
        if not isinstance(reply, hiredis.ReplyError):
            (masters,) = await connection.call(command(b"SENTINEL", b"MASTERS"), 1)
            raise SinkError(f"{where} knows no service {service!r}{_known(masters)}", "Check the service in the URL")
        if "unknown command" in str(reply).lower():
            raise SinkError(
                f"{sentinel} is no Sentinel ({reply})", "Use redis:// for a server, and Sentinel's port for a Sentinel"
            )
        raise _of_sentinel(from_reply(str(reply), where), where, code_of(reply))
    finally:
        connection.abort()


def _of_sentinel(error: LoaderError, where: str, code: str = "") -> LoaderError:
    """An error about Sentinel's own login, with what to do about it; other errors unchanged."""
    text = error.args[0]
    if code in ("NOAUTH", "WRONGPASS") or "password" in text:
        text = text if where in text else f"Sentinel {text}"
        return SinkError(text, "Give Sentinel's own login: ?sentinel_username=USER&sentinel_password=PASSWORD")
    return error


def _known(masters: Any) -> str:
    """The names of the services in a reply to SENTINEL MASTERS, which has a flat list of pairs for each."""
    if not isinstance(masters, list):
        return ""
    names = [
        _text(value)
        for fields in masters
        if isinstance(fields, list)
        for field, value in zip(fields[::2], fields[1::2], strict=False)
        if field == b"name"
    ]
    return f"; it knows {', '.join(names)}" if names else "; it knows none"


async def _require_primary(connection: Connection, primary: Address, sentinels: Sentinels) -> None:
    (reply,) = await connection.call(command(b"ROLE"), 1)
    # An error: the user may not ask. Then a replica refuses the first write.
    if isinstance(reply, list) and reply and reply[0] != b"master":
        raise TransientError(
            f"{primary}: a {_text(reply[0])}, while Sentinel names it the primary of {sentinels.service}: a failover "
            "is going on"
        )


def _told(error: ConnectionFailedError, sentinels: Sentinels) -> ConnectionFailedError:
    told = ConnectionFailedError(
        f"{error.args[0]} (the primary of {sentinels.service}, as Sentinel says)",
        "If this machine cannot reach that address, set replica-announce-ip and sentinel announce-ip, or run the "
        "loader inside the servers' network",
    )
    told.announced, told.closed = True, error.closed
    return told


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
