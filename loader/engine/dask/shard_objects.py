"""A prefix of a bucket for one object a shard, written by the workers of a load."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loader.errors import LoaderError, SinkError, TransientError
from loader.sources.remote.address import parse_address
from loader.sources.remote.object_faults import fault_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore


class Bucket:
    """The prefix. An object is there whole, or not at all.

    Args:
        process: A name that no other process of the load has.
    """

    def __init__(self, place: str, process: str) -> None:
        self._address = parse_address(place)
        self._probe = f".runqy-loader-{process}"
        self._store: ObjectStore | None = None

    async def prove(self) -> None:
        """Writes an object and deletes it.

        Raises:
            LoaderError: It cannot be written; a TransientError if that may pass.
        """
        import obstore

        await self.put(self._probe, b"", replace=True)
        try:
            await obstore.delete_async(await self._opened(), self._address.path + self._probe)
        except Exception as error:
            raise self._told(error) from None

    async def put(self, name: str, content: bytes, *, replace: bool) -> None:
        """Writes an object.

        Args:
            replace: Whether it takes the place of one that is there; otherwise that one stays.

        Raises:
            LoaderError: As of ``prove``.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            await obstore.put_async(
                await self._opened(),
                self._address.path + name,
                content,
                mode="overwrite" if replace else "create",
                use_multipart=False,  # one request, so that nothing of it stays if it is cut off
            )
        except (AlreadyExistsError, PreconditionError):
            return
        except Exception as error:
            raise self._told(error) from None

    async def _opened(self) -> ObjectStore:
        if self._store is None:
            from loader.sources.remote.stores import open_store  # imports obstore, and for S3 boto3

            self._store = await asyncio.to_thread(open_store, self._address)  # it may ask for credentials
        return self._store

    def _told(self, error: Exception) -> LoaderError:
        """The error for one of obstore's, whose text may have a signature."""
        if isinstance(error, LoaderError):
            return SinkError(str(error.args[0]), error.hint)
        fault = fault_of(error, self._address.scheme, self._address.host, rights="to put and to delete")
        kind = TransientError if fault.may_pass else SinkError
        return kind(fault.what, fault.hint or "Check the network and the server, and run the same command")
