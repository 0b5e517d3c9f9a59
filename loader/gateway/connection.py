"""A client's connection: uvicorn's, with limits and rules that it leaves to the application, which sees them too late.

- Header fields are at most 64 KB, and each byte of them is looked at a bounded number of times.
- A client that is silent, or slow with its header fields, is not waited for without end.
- An offer to go on with another protocol (RFC 9110, 7.8), as Java's ``HttpClient`` and ``curl --http2`` make with each
  first request, is not taken up. What follows it is the body of the request, as without the offer.
- Trailer fields of a chunked body are dropped: they must not pass for header fields (RFC 9110, 6.5.1).
- A client that has closed its own side only still gets its answer.
- Of requests that a client sends in a row, a piece at a time is parsed and answered, however many there are.
- A client that takes nothing of its answers is given up.
- An answer is one write, and a refusal can be read: what the client still sends is read and dropped for a while.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from loader.gateway.answers import error_body
from loader.gateway.transport import Flow, OneWrite

MAX_HEAD = 64 * 1024
"""Bytes of a request's first line and header fields."""

_MAX_BETWEEN = 16 * 1024
"""Bytes of a chunked body that are no content, in one piece: extensions and trailer fields."""

_PIECE = 8 * 1024
"""Bytes that are parsed at once. Each request in them takes some kilobytes until it is answered."""

_HEAD_END = b"\r\n\r\n"
_FRAMING = (b"content-length", b"transfer-encoding")


class Connection(HttpToolsProtocol):
    """A connection of the gateway.

    Args:
        arrival_seconds: How long the header fields of a request may take to arrive, and then its body; and how long a
            client may take nothing of its answers.
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
        self._later = bytearray()  # what is parsed once the requests before it are answered; nothing is read meanwhile
        self._sending: asyncio.TimerHandle | None = None

    def ended(self) -> asyncio.Future[None]:
        """See the class."""
        if self._ended is None:
            self._ended = self.loop.create_future()
            if self._has_ended:
                self._ended.set_result(None)
        return self._ended

    async def sent(self) -> None:
        """Waits until the client has taken what was written, but for 64 KB at most, or is gone."""
        await asyncio.sleep(0)  # what was written is with the transport then
        await self.flow.drain()

    # --- the transport's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, OneWrite(transport, self))
        self.flow = Flow(self.transport, self)
        self._rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._end()
        self._unset_keepalive_if_required()
        if self._sending is not None:
            self._sending.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keeps the connection for the answers of requests that have arrived whole."""
        self._end()
        return bool(self._later) or self._finish()  # else the transport closes

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
        if self._later or len(data) > _PIECE:
            self._later += data
            self._take_later()
        else:
            self._take(data)
        self._rest()

    def _take_later(self) -> None:
        """Parses what has arrived, until a request has to wait for the one before it."""
        while self._later and not self.pipeline and not self._refused:
            piece = bytes(self._later[:_PIECE])
            del self._later[:_PIECE]
            self._take(piece)
        if not self._later and self._has_ended and not self._finish():
            self.transport.close()

    def _rest(self) -> None:
        """Waits for the next request, if there is none."""
        if (
            self._in_head
            and not (self._begun or self._held or self._refused or self._later)
            and (self.cycle is None or self.cycle.response_complete)
            and self.timeout_keep_alive_task is None
        ):
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _take(self, data: bytes) -> None:
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
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self._without_upgrade()
            except httptools.HttpParserError:
                if self._field_bytes > MAX_HEAD:
                    self._refuse(431, f"the header fields are longer than {MAX_HEAD} bytes")
                else:
                    self._refuse(400, "this is not a valid HTTP/1.1 request")
                return
            else:
                return

    def _without_upgrade(self) -> None:
        """Goes on after an offer to upgrade, at which the parser stops: with a new one, that is told the framing."""
        self.parser = httptools.HttpRequestParser(self)
        if not self._in_head:
            framing = (b"%b: %b\r\n" % field for field in self.headers if field[0] in _FRAMING)
            self._is_going_on = True
            self.parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % b"".join(framing))
            self._is_going_on = False

    def on_message_begin(self) -> None:
        if not self._is_going_on:
            self._begun = True
            self._field_bytes = 0
            self._head_bytes = -_PIECE  # where in a piece it begins is not known
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
        if self.transport.is_closing():
            return  # nobody would get the answer
        self._current = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._later:
            self._take_later()
            self._rest()
        self.flow.resume_reading()
        if not self._in_head and self.cycle.response_complete:  # the rest of a body that nobody wants
            self._dropped = 0
            self._await_arrival()

    # --- answers that nobody takes ---------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        self.watch_sending()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None
        if self.transport.is_closing():
            self.watch_sending()

    def watch_sending(self) -> None:
        """Gives the client up if it takes nothing for a while of what it is sent."""
        if self._sending is None and (unsent := self.transport.get_write_buffer_size()):
            self._sending = self.loop.call_later(self._arrival_seconds, self._check_sent, unsent)

    def _check_sent(self, unsent: int) -> None:
        self._sending = None
        if self.transport.get_write_buffer_size() >= unsent:
            self.transport.abort()
        else:
            self.watch_sending()

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
        self._later.clear()
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
