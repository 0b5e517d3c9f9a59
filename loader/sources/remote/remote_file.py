"""The bytes of a remote object whose content is pinned by its ETag."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace

from loader.errors import SourceError
from loader.sources.base import SourceIdentity
from loader.sources.remote.site import NOT_ASKED, LostError, Site, State, changed, not_reached

TRIES = 8
"""Requests one after the other that bring no byte, before a lost connection ends the load."""

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
"""Seconds between two of them; each is twice as long as the one before."""

SILENCE = 60.0
"""Seconds to wait for the next bytes. Time in which the loader itself asks for none does not count."""


@dataclass(frozen=True, slots=True, eq=False)
class RemoteFile:
    """One object. It is a ``Transport`` if it is pinned.

    Attributes:
        name: The URL for people.
        content_url: What says which object it is; see ``Address``.
        state: Its size and ETag.
    """

    name: str
    site: Site
    key: str
    content_url: str
    state: State = NOT_ASKED

    def pinned(self, state: State) -> RemoteFile:
        """The same object with what the server says of it."""
        return replace(self, state=state)

    @property
    def size(self) -> int:
        """The size in bytes, as stored."""
        return self.state.size or 0

    @property
    def digest(self) -> str:
        """Stands for the content: a hash of the URL, the size and the ETag.

        Other objects may have the same ETag: of some servers, it is made of the time and the size.
        """
        text = f"{self.content_url}\n{self.state.size}\n{self.state.etag}"
        return hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16).hexdigest()

    def identity(self, form: str) -> SourceIdentity:
        return SourceIdentity(self.name, form, self.state.size, self.digest)

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """One stream. Where it is cut, the rest is asked for, which the server gives only if the ETag is the same.

        Raises:
            SourceChangedError: The object has other content, or is no more.
            SourceError: The server refuses, or is not reached again.
        """
        stop = self.size if end is None else end
        tries = TRIES
        while start < stop:
            try:
                async with aclosing(ahead(self.site.read(self.key, start, stop, self.state))) as pieces:
                    async for piece in pieces:
                        start += len(piece)
                        tries = TRIES
                        if start > stop:
                            raise changed(self.name, f"it had {self.size} bytes, and there are more")
                        yield piece
                _require_all(start, stop)
            except LostError as lost:
                tries -= 1
                if not tries:
                    raise not_reached(f"{self.name} (from byte {start})", f"{lost}, {TRIES} times") from lost
                await pause(TRIES - tries)


def pause_seconds(failures: int) -> float:
    """How long to wait before another request, after so many that failed."""
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (failures - 1))


def _require_all(at: int, stop: int) -> None:
    if at < stop:
        raise LostError("the answer ended too early")


async def pause(failures: int) -> None:
    """Waits for that long."""
    await asyncio.sleep(pause_seconds(failures))


async def ahead(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The pieces, of which the next one is on its way while one is used.

    Raises:
        LostError: Nothing has come for ``SILENCE`` seconds.
    """
    coming = asyncio.ensure_future(anext(pieces, None))
    try:
        while True:
            done, _ = await asyncio.wait([coming], timeout=SILENCE)
            if not done:
                raise LostError(f"no byte has come for {SILENCE:.0f} s")
            if (piece := coming.result()) is None:
                return
            coming = asyncio.ensure_future(anext(pieces, None))
            yield piece
    finally:
        coming.cancel()
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()
        await pieces.aclose()


async def state_of(file: RemoteFile) -> State:
    """What the server says of an object.

    Raises:
        SourceError: There is no such object, or the server refuses or cannot be reached.
    """
    if (state := await file.site.state(file.key)) is None:
        raise SourceError(f"{file.name}: there is no such object", "Check the URL")
    return state
