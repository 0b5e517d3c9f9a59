"""Buckets of S3, Google Cloud Storage and Azure, through obstore, the Python binding of Rust's ``object_store``.

An object is read by one ``get`` with ``if_match``. ``get_range``, ``get_ranges`` and ``open_reader`` take no condition
and mix two contents in silence. Where a connection is cut, ``object_store`` asks for the rest and compares the ETag of
the answer; what it cannot mend is asked for again by ``RemoteFile``.

Errors are raised ``from None``: the text of one of obstore may have a signature, and ``--debug`` would show it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

from loader.errors import SourceError
from loader.sources.remote.address import Address
from loader.sources.remote.object_faults import Fault, fault_of, no_bucket
from loader.sources.remote.site import Listed, LostError, State, changed, not_reached
from loader.sources.transports.transport import CHUNK

if TYPE_CHECKING:
    from obstore import GetOptions, ObjectMeta
    from obstore.store import ObjectStore

_LISTED_AT_ONCE = 1000
_OPENING = Lock()


class ObjectSite:
    """One bucket or container. Its store is opened when it is first used, in each process anew."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._store: ObjectStore | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_address": self._address, "_store": None}

    def _open(self) -> ObjectStore:
        with _OPENING:  # once, also when several threads want it: it may ask for credentials
            if self._store is None:
                from loader.sources.remote.stores import open_store  # imports obstore, and for S3 boto3

                self._store = open_store(self._address)
            return self._store

    async def _opened(self) -> ObjectStore:
        # In a thread, because it may ask for credentials.
        return await asyncio.to_thread(self._open) if self._store is None else self._store

    async def state(self, key: str) -> State | None:
        import obstore

        try:
            try:
                return _state(await obstore.head_async(await self._opened(), key))
            except Exception as error:
                if not self._fault(error).is_brief:
                    raise
            # The answer to HEAD has no body, so it does not say which fault it is.
            return _state((await obstore.get_async(await self._opened(), key)).meta)
        except Exception as error:
            fault = self._fault(error)
            if fault.is_missing:
                return None
            raise self._told(fault, key) from None

    async def list(self, prefix: str, enter: Callable[[str], bool]) -> AsyncGenerator[Listed, None]:
        import obstore

        try:
            found = obstore.list(await self._opened(), prefix or None, chunk_size=_LISTED_AT_ONCE)
            async for some in found:
                for one in some:
                    if one["path"].startswith(prefix):
                        yield Listed(one["path"], _state(one))
        except Exception as error:
            fault = self._fault(error)
            if fault.is_missing:  # of a listing, that is the bucket
                fault = no_bucket(self._address.scheme, self._address.host)
            raise self._told(fault, prefix) from None

    async def read(self, key: str, start: int, end: int | None, state: State) -> AsyncGenerator[bytes, None]:
        import obstore

        try:
            answer = await obstore.get_async(await self._opened(), key, options=_options(start, end, state))
            require_same(self._address.name_of(key), state, _state(answer.meta))
            async for piece in answer.stream(min_chunk_size=CHUNK):
                yield bytes(piece)
        except Exception as error:
            raise self._while_reading(error, key) from None

    def part(self, key: str, start: int, end: int, state: State) -> bytes:
        import obstore

        try:
            answer = obstore.get(self._open(), key, options=_options(start, end, state))
            require_same(self._address.name_of(key), state, _state(answer.meta))
            return bytes(answer.bytes())
        except Exception as error:
            raise self._while_reading(error, key) from None

    def _while_reading(self, error: Exception, key: str) -> Exception:
        """The error for one of obstore's; see ``Site.read``."""
        fault, name = self._fault(error), self._address.name_of(key)
        if fault.is_changed:
            return changed(name, "its ETag is another one")
        if fault.is_missing:
            return changed(name, "it is no more")
        return LostError(fault.what) if fault.may_pass else self._told(fault, key)

    async def aclose(self) -> None:
        """Nothing: connections are closed with the store."""

    def _fault(self, error: Exception) -> Fault:
        if isinstance(error, SourceError):
            raise error
        return fault_of(error, self._address.scheme, self._address.host)

    def _told(self, fault: Fault, key: str) -> SourceError:
        name = self._address.name_of(key)
        return not_reached(name, fault.what) if not fault.hint else SourceError(f"{name}: {fault.what}", fault.hint)


def _options(start: int, end: int | None, state: State) -> GetOptions:
    options: GetOptions = {} if state.etag is None else {"if_match": state.etag}
    if end is not None:
        options["range"] = (start, end)
    elif start:
        options["range"] = {"offset": start}
    return options


def require_same(name: str, state: State, now: State) -> None:
    """Raises SourceError if an answer is of another object than the pinned one: not every server obeys ``If-Match``."""
    if state.size is not None and now.size != state.size:
        raise changed(name, f"it had {state.size} bytes, now {now.size}")
    if state.etag is not None and now.etag != state.etag:
        raise changed(name, "its ETag is another one")


def _state(meta: ObjectMeta) -> State:
    etag = meta["e_tag"]
    # The condition compares ETags byte by byte, which a weak one (RFC 9110, 8.8.1) never passes.
    if not etag or etag.startswith("W/"):
        return State(meta["size"], None)
    # Listings of Azure have ETags without the quotes that all answers have.
    return State(meta["size"], etag if etag.startswith('"') else f'"{etag}"')
