"""A client's connection: uvicorn's, with limits and rules that it leaves to the application, which sees them too late.

- Header fields are at most 64 KB, and each byte of them is looked at a bounded number of times.
- A client that is silent, or slow with its header fields, is not waited for without end.
- An offer to go on with another protocol (RFC 9110, 7.8), as Java's ``HttpClient`` and ``curl --http2`` make with each
  first request, is not taken up. What follows it is the body of the request, as without the offer.
- Trailer fields of a chunked body are dropped: they must not pass for header fields (RFC 9110, 6.5.1).
- A client that has closed its own side only still gets its answer.
- An answer is one write, and a refusal can be read: what the client still sends is read and dropped for a while.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from loader.gateway.answers import error_body

MAX_HEAD = 64 * 1024
"""Bytes of a request's first line and header fields."""

_MAX_BETWEEN = 16 * 1024
"""Bytes of a chunked body that are no content, in one piece: extensions and trailer fields."""

_JOINED = 64 * 1024
"""A longer body is written by itself: a copy of it would cost more than a second write."""

_LINGER_SECONDS = 1.0
_HEAD_END = b"\r\n\r\n"
_FRAMING = (b"content-length", b"transfer-encoding")


class Connection(HttpToolsProtocol):
    """A connection of the gateway.

    Args:
        arrival_seconds: How long the header fields of a request may take to arrive, and then its body.
        most_dropped: Bytes of a body that are read and dropped after its answer.

    Attributes:
        ended: Done once the client has closed its side, or the connection is lost. Made on demand.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        arrival_seconds: float,
        most_dropped: int,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._arrival_seconds = arrival_seconds
        self._most_dropped = most_dropped
        self._ended: asyncio.Future[None] | None = None
        self._has_ended = False
        self._refused = False
        self._in_head = True  # of the next request, or between two requests
        self._begun = False  # the parser has a part of the header fields
        self._held = bytearray()  # a part of the header fields that the parser does not have yet
        self._head_bytes = 0
        self._field_bytes = 0
        self._is_going_on = False  # the parser is told the framing of a body, see _without_upgrade
        self._moved = False  # the parser has found content
        self._between = 0
        self._dropped = 0
        self._arrival: asyncio.TimerHandle | None = None
        self._current: RequestResponseCycle | None = None  # the request that the application has

    def ended(self) -> asyncio.Future[None]:
        """See the class."""
        if self._ended is None:
            self._ended = self.loop.create_future()
            if self._has_ended:
                self._ended.set_result(None)
        return self._ended

    # --- the transport's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, _OneWrite(transport, self))
        self.flow = FlowControl(self.transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._end()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps the connection for the answers of requests that have arrived whole."""
        self._end()
        return self._finish()  # else the transport closes

    def _finish(self) -> bool:
        """Closes once those requests are answered that have arrived whole. Returns False if there are none."""
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        whole = [cycle for cycle, _ in self.pipeline]
        if self._current is not None and not self._current.response_complete and not self._current.more_body:
            whole.append(self._current)
        if whole:
            whole[0].keep_alive = False
        return bool(whole)

    def _end(self) -> None:
        self._has_ended = True
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        self._unset_keepalive_if_required()
        if not self._in_head:
            self._moved = False
            self._feed(data)
            self._check_body(len(data))
        elif self._begun:
            self._feed(data)
            self._count_head(len(data))
            self._check_body(0)
        elif not self._held and 0 <= (end := data.find(_HEAD_END)) <= MAX_HEAD:
            self._feed(data)  # as nearly always: the header fields are whole
            self._count_head(len(data) - end)
            self._check_body(0)
        else:
            self._hold(data)

    def _hold(self, data: bytes) -> None:
        """Keeps header fields until they are whole: a parser that gets them byte by byte takes quadratic time."""
        searched = max(0, len(self._held) - len(_HEAD_END) + 1)
        self._held += data
        end = self._held.find(_HEAD_END, searched)
        if end > MAX_HEAD or (end < 0 and len(self._held) > MAX_HEAD):
            self._refuse(431, f"the header fields are longer than {MAX_HEAD} bytes")
        elif end >= 0 or not self._held.lstrip(b"\r\n")[:1].isupper():  # else a parser says at once what is wrong
            whole = bytes(self._held)
            self._held.clear()
            self._feed(whole)
            self._check_body(0)
        else:
            self._await_arrival()

    def _count_head(self, size: int) -> None:
        if not self._begun:
            self._head_bytes = 0
            return
        self._head_bytes += size
        self._await_arrival()
        if self._head_bytes > MAX_HEAD:
            self._refuse(431, f"the header fields are longer than {MAX_HEAD} bytes")

    def _check_body(self, size: int) -> None:
        if self._in_head:
            return
        self._await_arrival()
        self._between = 0 if self._moved else self._between + size
        if self._between > _MAX_BETWEEN:
            self._refuse(400, f"chunk extensions or trailer fields are longer than {_MAX_BETWEEN} bytes")
        elif self._dropped > self._most_dropped:
            self.transport.close()

    def _await_arrival(self) -> None:
        if self._arrival is None and not self._refused:
            self._arrival = self.loop.call_later(self._arrival_seconds, self._too_slow)

    def _arrived(self) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _too_slow(self) -> None:
        self._arrival = None
        if self._in_head:
            self._refuse(408, f"the header fields did not arrive within {self._arrival_seconds:g} s")
        elif self.cycle is not None and not self.cycle.response_complete:
            self._refuse(408, f"the body did not arrive within {self._arrival_seconds:g} s")
        else:
            self.transport.close()

    # --- the parser's side ------------------------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._without_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            if self._field_bytes > MAX_HEAD:
                self._refuse(431, f"the header fields are longer than {MAX_HEAD} bytes")
            else:
                self._refuse(400, "this is not a valid HTTP/1.1 request")

    def _without_upgrade(self, rest: bytes) -> None:
        """Goes on after an offer to upgrade, at which the parser stops: with a new one, that is told the framing."""
        self.parser = httptools.HttpRequestParser(self)
        if not self._in_head:
            framing = (b"%b: %b\r\n" % field for field in self.headers if field[0] in _FRAMING)
            self._is_going_on = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
            self._is_going_on = False
        if rest:
            self._feed(rest)

    def on_message_begin(self) -> None:
        if not self._is_going_on:
            self._begun = True
            self._field_bytes = 0
            super().on_message_begin()
            self.scope["state"]["connection"] = self

    def on_url(self, url: bytes) -> None:
        if not self._is_going_on:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer field
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > MAX_HEAD:
            raise ValueError("too long")  # the parser stops
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if not self._is_going_on:
            self._arrived()
            self._begun = self._in_head = False
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._moved = True
        if self.cycle.response_complete:
            self._dropped += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and _has_body(self.headers):
            return  # the parser takes what follows for another protocol; it is the body
        self._arrived()
        self._moved = self._in_head = True
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_head and not self.transport.is_closing():  # the rest of a body that nobody wants
            self._dropped = 0
            self._await_arrival()

    # --- refusals ---------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg)

    def _refuse(self, status: int, text: str) -> None:
        """Answers what cannot be handed to the application, and takes nothing more from this client."""
        if self._refused:
            return
        self._refused = True
        self._arrived()
        self._held.clear()
        if self._finish():
            return
        if self._current is not None and not self._current.response_complete:
            self._current.disconnected = True
            self._current.message_event.set()
        if self.access_log:
            self.access_logger.info("%s - %d, %s", ":".join(map(str, self.client or ("unknown",))), status, text)
        body = error_body(text)
        fields = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        dates = b"".join(b"%b: %b\r\n" % field for field in self.server_state.default_headers)
        self.transport.write(b"%b%b%b%b" % (STATUS_LINE[status], dates, fields, body))
        self.transport.close()

    @property
    def is_sending(self) -> bool:
        """Whether the client may still send: closing at once would make its system drop an answer it has not read."""
        return not self._has_ended and (self._refused or not self._in_head)


def _has_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name in _FRAMING and value != b"0" for name, value in headers)


class _OneWrite:
    """What uvicorn writes to. It writes the head and the body of an answer one after the other, in one turn.

    uvloop sends each write at once since 0.23.
    """

    __slots__ = ("_closing", "_connection", "_held", "_transport", "get_extra_info", "pause_reading", "resume_reading")

    def __init__(self, transport: asyncio.Transport, connection: Connection) -> None:
        self._transport = transport
        self._connection = connection
        self._held = b""
        self._closing = False
        self.get_extra_info = transport.get_extra_info
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def write(self, data: bytes) -> None:
        if self._closing:
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
            self._transport.write(self._held)
            self._held = b""

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
