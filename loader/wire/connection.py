"""A pipelined connection: ready-made command bytes out, replies in order, parsed by hiredis."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

import hiredis

from loader.errors import ConnectionFailedError, LoaderError, OversizedError, TransientError
from loader.wire.address import Address
from loader.wire.faults import CHECK_SERVER, from_os_error, from_reply, is_full, not_redis
from loader.wire.password import PasswordSource, about_source
from loader.wire.resp import command

Reply = Any
"""A reply as hiredis returns it: int, bytes, None, list, or a ``hiredis.ReplyError`` as a value."""

_MORE = object()


class Connection(asyncio.Protocol):
    """One connection to a server. Calls may overlap; replies come back in the order of the calls.

    It has no flow control: callers limit how much they have in flight.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._parser = hiredis.Reader(notEnoughData=_MORE)
        self._replies: list[Reply] = []
        self._waiting: deque[tuple[int, asyncio.Future[list[Reply]]]] = deque()
        self._transport: asyncio.Transport | None = None
        self._lost: LoaderError | None = None
        self._retired = False
        self._silent_since = 0.0
        self._watchdog: asyncio.TimerHandle | None = None
        self._attendant: asyncio.Task[None] | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, address: Address, name: str, timeout: float) -> Connection:
        """Connects, logs in, selects the database and takes a name, if one is given.

        Raises:
            TransientError: The connection fails, or the server is still loading its data.
            SinkError: The server refuses the login or the database.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                if address.path is not None:
                    _, connection = await loop.create_unix_connection(lambda: cls(address, timeout), address.path)
                else:
                    _, connection = await loop.create_connection(
                        lambda: cls(address, timeout), address.host, address.port, ssl=address.tls
                    )
        except OSError as error:  # TimeoutError and ssl.SSLError are subclasses
            raise from_os_error(error, str(address)) from error
        try:
            await connection._handshake(name)
        except BaseException as error:
            connection.abort()
            if isinstance(error, ConnectionFailedError):
                error.hint = error.hint or CHECK_SERVER
            raise
        return connection

    async def _handshake(self, name: str) -> None:
        if self._address.password is not None:
            await self._log_in(self._address.password)
        elif (secret := self._address.secret) is not None:
            await self._log_in_with(secret)
        if self._address.db:
            await self._step(b"SELECT", b"%d" % self._address.db)
        await self._step(b"PING")  # fails if the server is loading its data, or requires a password
        # Some proxies and ACLs refuse names. Then this connection cannot be fenced: see Lease.fence.
        if name:
            await self.call(command(b"CLIENT", b"SETNAME", name.encode()), replies=1)

    async def _log_in(self, password: str) -> None:
        user = [self._address.username.encode()] if self._address.username else []
        await self._step(b"AUTH", *user, password.encode())

    async def _log_in_with(self, secret: PasswordSource) -> None:
        password = await secret.read()
        try:
            await self._log_in(password)
        except TransientError:
            raise
        except LoaderError as error:
            renewed = await secret.read(refused=password)
            if renewed == password:
                raise about_source(error, secret) from None
            await self._log_in(renewed)

    async def _step(self, *arguments: bytes) -> None:
        (reply,) = await self.call(command(*arguments), replies=1)
        if isinstance(reply, hiredis.ReplyError):
            raise from_reply(str(reply), str(self._address))

    def call(self, commands: bytes, replies: int) -> asyncio.Future[list[Reply]]:
        """Sends commands at once. The result of the future is a list of ``replies`` replies.

        Error replies are values in this list. If the connection is lost first, the future fails with TransientError,
        and it is unknown which of the commands ran.
        """
        future: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        if self._transport is None or not self.is_open:
            future.set_exception(self._lost or self._told() or self._closed_error("the connection was closed"))
            return future
        if not self._waiting:
            self._silent_since = asyncio.get_running_loop().time()
        self._waiting.append((replies, future))
        self._transport.write(commands)
        return future

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        # uvloop's transports refuse a write once they have begun to close, before connection_lost() is called.
        return self._lost is None and self._transport is not None and not self._transport.is_closing()

    async def close(self) -> None:
        """Closes the connection after everything written has been sent."""
        if self._transport is not None:
            self._transport.close()
            await self._closed

    def abort(self) -> None:
        """Closes the connection at once. Data that has not been sent is dropped."""
        if self._transport is not None:
            self._transport.abort()

    def attend(self, task: asyncio.Task[None]) -> None:
        """Keeps a task that watches this connection, and cancels it when the connection is lost."""
        self._attendant = task

    def give_up(self, error: LoaderError) -> None:
        """Closes the connection at once. Calls under way fail with this error."""
        self._fail(error)
        self.abort()

    def retire(self) -> None:
        """Closes the connection once no replies are due."""
        self._retired = True
        if not self._waiting:
            self.abort()

    async def wait_closed(self) -> None:
        """Returns once the connection is lost, or closed by either side."""
        await asyncio.shield(self._closed)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports are no subclass of it
        self._watch()

    def data_received(self, data: bytes) -> None:
        # Hot path: iter() with a sentinel pulls all replies in a C loop, about 50 ns each.
        self._silent_since = asyncio.get_running_loop().time()
        self._parser.feed(data)
        fault: Exception | None = None
        try:
            self._replies += iter(self._parser.gets, _MORE)
        except (hiredis.ProtocolError, TypeError, ValueError) as error:  # TypeError: a map whose key is a list
            fault = error  # the replies before it are good, whether or not they came with it in one piece
        while self._waiting and len(self._replies) >= self._waiting[0][0]:
            count, future = self._waiting.popleft()
            if not future.done():
                future.set_result(self._replies[:count])
            del self._replies[:count]
        if fault is not None:
            self._fail(not_redis(str(fault), str(self._address)))
            self.abort()
        elif self._retired and not self._waiting:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._attendant is not None:
            self._attendant.cancel()
        self._fail(self._reason_for(exc))
        if not self._closed.done():
            self._closed.set_result(None)

    def _told(self) -> LoaderError | None:
        """Why the server closes the connection, if it says so in its last reply: what it was sent, or no room."""
        for reply in self._replies:
            if isinstance(reply, hiredis.ReplyError):
                error = from_reply(str(reply), str(self._address))
                if isinstance(error, OversizedError) or is_full(reply):
                    return error
        return None

    def _reason_for(self, exc: Exception | None) -> LoaderError:
        if (told := self._told()) is not None:
            return told
        if isinstance(exc, OSError):
            reset = from_os_error(exc, str(self._address))
            reset.closed = True
            return reset
        return self._closed_error("the connection was closed by the server")

    def _closed_error(self, text: str) -> ConnectionFailedError:
        error = ConnectionFailedError(f"{self._address}: {text}")
        error.closed = True
        return error

    def _watch(self) -> None:
        """Drops the connection if replies are due and no data has arrived within the timeout."""
        loop = asyncio.get_running_loop()
        if self._waiting and loop.time() - self._silent_since > self._timeout:
            self._fail(ConnectionFailedError(f"{self._address}: no reply for {self._timeout:g} s"))
            self.abort()
            return
        self._watchdog = loop.call_later(self._timeout / 4, self._watch)

    def _fail(self, error: LoaderError) -> None:
        if self._lost is None:
            self._lost = error
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(self._lost)
