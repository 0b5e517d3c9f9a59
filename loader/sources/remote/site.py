"""The interface between remote files and the servers that have them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from loader.errors import SourceChangedError, SourceError


class LostError(Exception):
    """A connection or an answer was lost, or the server is busy: to ask again may help. The text says why, briefly."""


@dataclass(frozen=True, slots=True)
class State:
    """What a server says of an object.

    Attributes:
        size: Bytes; None if the server does not say.
        etag: A strong ETag, which changes with the content; None if the server gives none.
    """

    size: int | None
    etag: str | None

    @property
    def is_pinned(self) -> bool:
        """Whether later requests can ask for exactly this content."""
        return self.size is not None and self.etag is not None


NOT_ASKED = State(None, None)
"""Of an object of which no server has said anything."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An object of a listing."""

    key: str
    state: State


class Site(Protocol):
    """A bucket, or a host. One that has ETags can be pickled."""

    async def state(self, key: str) -> State | None:
        """What the server says of an object; None if there is no such object.

        Raises:
            SourceError: The server refuses, or cannot be reached.
        """
        ...

    def read(self, key: str, start: int, end: int | None, state: State) -> AsyncGenerator[bytes, None]:
        """The bytes of an object by one request, from one offset to another, or to the end.

        Args:
            state: With an ETag, no other content is read than the one that has it.

        Raises:
            LostError: The answer was cut off, or did not come.
            SourceChangedError: The object has other content, or is no more.
            SourceError: The server refuses.
        """
        ...

    async def aclose(self) -> None:
        """Closes what is open. The site can be used again."""
        ...


class ListedSite(Site, Protocol):
    """A site that can say what it has."""

    def list(self, prefix: str, enter: Callable[[str], bool]) -> AsyncGenerator[Listed, None]:
        """The objects whose keys begin with a prefix that is empty or ends with a slash, in any order.

        Args:
            enter: Whether anything is wanted below a folder, whose key ends with a slash. A server that lists all keys
                at once does not ask.

        Raises:
            SourceError: The server refuses, or cannot be reached.
        """
        ...


@runtime_checkable
class SiteOfParts(Site, Protocol):
    """A site where small requests are cheap."""

    def part(self, key: str, start: int, end: int, state: State) -> bytes:
        """Some bytes of an object. It blocks; see ``read`` for what it raises."""
        ...


def changed(name: str, why: str) -> SourceChangedError:
    """The error for an object that is not what it was when the run began."""
    return SourceChangedError(
        f"{name} was changed while it was being loaded ({why})",
        "Loaded batches stay loaded. Put the old content back to resume this job, or load a finished copy",
    )


def not_reached(name: str, why: object) -> SourceError:
    """The error for a server that gives no answer, or a broken one, again and again."""
    return SourceError(f"{name} cannot be read: {why}", "Check the network and the server, and run the same command")
