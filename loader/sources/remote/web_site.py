"""Files of HTTP servers, RFC 9110: pinned by a strong ETag, with If-Match and If-Range in each request for the rest."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loader.errors import SourceError
from loader.sources.remote.address import Address
from loader.sources.remote.remote_file import pause
from loader.sources.remote.site import LostError, State, changed, not_reached
from loader.sources.transports.transport import CHUNK

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession, TraceRequestRedirectParams
    from yarl import URL

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 60.0
_MOST_REDIRECTS = 10
_TRIES = 4
"""Requests at most before the first answer."""
_ADVICE = {
    401: "Give a login in ~/.netrc, or in the URL as https://USER:PASSWORD@HOST/…",
    403: "Check the rights; if the URL is signed, its time may be over: get a new one and run the same command",
    404: "Check the URL",
    407: "Give the proxy's login in HTTPS_PROXY",
    410: "Check the URL",
}
_GONE = (404, 410)
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class WebSite:
    """One URL. Each request has a connection of its own: there are few, and each is a whole file as a rule."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._name = address.name

    async def state(self, key: str) -> State | None:
        # Not HEAD: a signature is for one method, and some servers answer HEAD in another way. One byte is asked for,
        # because a server would send some MiB that nobody reads.
        headers = {"Range": "bytes=0-0"}
        failures = 0
        while True:
            try:
                async with self._answer(headers, also=416 if headers else 200) as answer:
                    if answer.status != 416:
                        return _state(answer)
                headers = {}  # an empty file has no first byte
            except LostError as lost:
                failures += 1
                if failures == _TRIES:
                    raise not_reached(self._name, lost) from lost
                await pause(failures)

    async def read(self, key: str, start: int, end: int | None, state: State) -> AsyncGenerator[bytes, None]:
        headers: dict[str, str] = {}
        if state.etag is not None:
            headers["If-Match"] = state.etag
        if start or (end is not None and end != state.size):
            headers["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
            if state.etag is not None:
                headers["If-Range"] = state.etag
        async with self._answer(headers, later=state.etag is not None) as answer:
            at = self._first_byte(answer, start, state)
            async for piece in answer.content.iter_chunked(CHUNK):
                # A server that knows no ranges sends all of it.
                data = piece[max(0, start - at) :] if at < start else piece
                at += len(piece)
                if end is not None and at > end:
                    data = data[: len(data) - (at - end)]
                if data:
                    yield data
                if end is not None and at >= end:
                    return

    async def aclose(self) -> None:
        """Nothing: each request closes its connection."""

    @asynccontextmanager
    async def _answer(
        self, headers: dict[str, str], *, later: bool = False, also: int = 200
    ) -> AsyncGenerator[ClientResponse, None]:
        """The answer to a request, if it is a good one.

        Args:
            later: Whether this is not the first request, so that a missing file is a changed one.
            also: Another status that is good.

        Raises:
            LostError, SourceChangedError, SourceError: See ``Site.read``.
        """
        import aiohttp

        login = self._address.login
        auth = aiohttp.BasicAuth(self._address.user, self._address.password, "utf-8") if login else None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_READ_SECONDS)
        watch = aiohttp.TraceConfig()
        watch.on_request_redirect.append(self._check_redirect)
        try:
            async with (
                aiohttp.ClientSession(
                    timeout=timeout,
                    auto_decompress=False,
                    trust_env=True,
                    read_bufsize=2 * CHUNK,
                    trace_configs=[watch],
                ) as session,
                session.get(
                    _url(self._address.url),
                    auth=auth,
                    headers={"Accept-Encoding": "identity", "User-Agent": "runqy-loader", **headers},
                    max_redirects=_MOST_REDIRECTS,
                ) as answer,
            ):
                self._check(answer, later=later, also=also)
                yield answer
        except (aiohttp.ClientError, ssl.SSLError, TimeoutError, OSError, ValueError) as error:
            raise self._fault(error) from None  # its text may have the URL, which --debug would show

    async def _check_redirect(
        self, session: ClientSession, context: object, redirect: TraceRequestRedirectParams
    ) -> None:
        """Raises SourceError before a request is made without TLS that was asked for with it."""
        from yarl import URL

        answer = redirect.response
        try:
            to = redirect.url.join(URL(answer.headers.get("Location") or answer.headers.get("URI") or ""))
        except ValueError:
            return  # aiohttp refuses it
        if redirect.url.scheme == "https" and to.scheme == "http":
            answer.close()
            raise SourceError(
                f"{self._name}: the server redirects from https:// to http://",
                "Give the URL without TLS, if that is meant",
            )

    def _check(self, answer: ClientResponse, *, later: bool, also: int) -> None:
        status = answer.status
        if status in (200, 206, also):
            return
        if status == 412 or (status == 416 and later):
            raise changed(self._name, "its ETag is another one")
        if status in _GONE and later:
            raise changed(self._name, "it is no more")
        if status in _BUSY:
            raise LostError(f"the server answers {status} {answer.reason or ''}".rstrip())
        advice = _ADVICE.get(status, "Check the URL")
        raise SourceError(f"{self._name}: the server answers {status} {answer.reason or ''}".rstrip(), advice)

    def _first_byte(self, answer: ClientResponse, start: int, state: State) -> int:
        """The offset at which the answer begins, which is the content that was asked for."""
        now = _state(answer)
        if now.size is None and "chunked" not in answer.headers.get("Transfer-Encoding", "").lower():
            raise SourceError(
                f"{self._name}: the server does not say how long it is, so that a part of it would pass as the whole",
                "Save it as a file, look whether it is complete, and load that",
            )
        if state.etag is not None and (now.etag != state.etag or now.size != state.size):
            raise changed(self._name, "its ETag is another one")
        if answer.status == 200:
            return 0
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != start:
            raise SourceError(
                f"{self._name}: the server answers with another part than the one that was asked for",
                "Save it as a file, and load that",
            )
        return start

    def _fault(self, error: Exception) -> Exception:
        """The error for one of aiohttp. Its text is not shown where it may have the URL."""
        import aiohttp

        host = self._address.host
        match error:
            case aiohttp.TooManyRedirects():
                return SourceError(f"{self._name}: more than {_MOST_REDIRECTS} redirects", "Check the URL")
            # A ValueError comes from a host that cannot be looked up, such as one with a label of 70 characters.
            case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | ValueError():
                return SourceError(
                    f"{self._name}: this is no URL, or the server redirects to what is none", "Check the URL"
                )
            case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
                why = getattr(error, "certificate_error", error)
                reason = getattr(why, "verify_message", "") or "it cannot be verified"
                return SourceError(
                    f"{self._name}: the certificate of {host} is not trusted: {reason}",
                    "Name the file of the authority that has signed it in SSL_CERT_FILE",
                )
            case aiohttp.ClientConnectorDNSError():
                return SourceError(f"{self._name}: the name {host} is not found", "Check the URL and the network")
            case aiohttp.ClientSSLError():
                return SourceError(f"{self._name}: {host} does not speak TLS", "Is http:// meant?")
            case aiohttp.ClientConnectorError():
                return LostError(f"no connection to {host} ({error.strerror or 'failed'})")
            case TimeoutError():
                return LostError(f"{host} does not answer in time")
            case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError() | ConnectionError():
                return LostError("the connection was lost")
        return LostError(f"the request failed ({type(error).__name__})")


def _url(text: str) -> URL:
    from yarl import URL

    # As it is: a signature covers the bytes of the path and of the query.
    return URL(text, encoded=text.isascii() and not any(mark in text for mark in " <>\"'"))


def _state(answer: ClientResponse) -> State:
    etag: str | None = answer.headers.get("ETag", "")
    if not etag or not (etag.startswith('"') and etag.endswith('"') and len(etag) > 1):
        etag = None  # a weak one says that the content means the same, not that its bytes are the same
    if answer.status == 206:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        return State(None if found is None else int(found[3]), etag)
    length = answer.headers.get("Content-Length", "")
    return State(int(length) if length.isascii() and length.isdigit() else None, etag)
