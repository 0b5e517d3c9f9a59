"""What uvicorn reads from and writes to on a client's connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import FlowControl

if TYPE_CHECKING:
    from loader.gateway.connection import Connection

_JOINED = 64 * 1024
"""A longer body is written by itself: a copy of it would cost more than a second write."""

_LINGER_SECONDS = 1.0


class Flow(FlowControl):
    """Reads nothing while a request waits for the one before it: what it reads would take memory without end."""

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        super().__init__(transport)
        self._connection = connection

    def resume_reading(self) -> None:
        if not self._connection.pipeline:
            super().resume_reading()


class OneWrite:
    """What uvicorn writes to. It writes the head and the body of an answer one after the other, in one turn.

    uvloop sends each write at once since 0.23.
    """

    __slots__ = (
        "_closing",
        "_connection",
        "_held",
        "_transport",
        "abort",
        "get_extra_info",
        "get_write_buffer_size",
        "pause_reading",
        "resume_reading",
    )

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport = transport
        self._connection = connection
        self._held = b""
        self._closing = False
        self.abort = transport.abort
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        if self.is_closing():  # the client may be gone, though the application does not know it yet
            return
        if not self._held:
            self._held = data
            self._connection.loop.call_soon(self._flush)
        elif len(data) <= _JOINED:
            self._transport.write(self._held + data)
            self._held = b""
        else:
            self._flush()
            self._transport.write(data)

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            if not self._transport.is_closing():
                self._transport.write(held)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def close(self) -> None:
        if self._closing:
            return
        self._flush()
        self._closing = True
        if self._connection.is_sending and self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
            self._connection.loop.call_later(_LINGER_SECONDS, self._transport.close)
        else:
            self._transport.close()
        self._connection.watch_sending()
