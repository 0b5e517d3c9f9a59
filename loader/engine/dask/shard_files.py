"""The rejects and ids of each shard as one file in a folder or a bucket, written by the worker that has run the shard.

The name follows from job and shard alone, and the content from the records and the ledger: lines of ids are sorted,
because batches are acknowledged in any order. So whichever runs of a shard end, and however often, each record is in
one file once. A file is written before its shard counts as done.

A run that ends early (an error, too many rejects, a stop) leaves its rejects too, for they may be why it ended. It
replaces no file: that may be of a later run which has done the shard.
"""

from __future__ import annotations

from typing import Protocol

from loader.engine.dask.messages import Setup
from loader.engine.dask.shard_folders import Folder
from loader.engine.dask.shard_objects import Bucket
from loader.errors import LoaderError
from loader.jobs.ids_file import header
from loader.outputs.names import IDS_ENDING, REJECTS_ENDING
from loader.outputs.place import is_url, shard_file
from loader.outputs.room import NO_ROOM


class _Place(Protocol):
    async def prove(self) -> None: ...

    async def put(self, name: str, content: bytes, *, replace: bool) -> None: ...


class ShardFiles:
    """Writes the files of shards in one process of a run.

    Args:
        worker: The Dask worker, for errors.
        process: A name that no other process of the load has.
    """

    def __init__(self, setup: Setup, worker: str, process: str) -> None:
        self._job = setup.part.job
        self._layout = setup.part.options.layout_name
        self._worker = worker
        self.rejects, self.ids = setup.rejects_place, setup.ids_place
        self._places: dict[str, _Place] = {}
        for place in filter(None, (self.rejects, self.ids)):
            self._places[place] = (
                Bucket(place, process) if is_url(place) else Folder(place, self._job, setup.token, process)
            )

    async def prove(self) -> None:
        """Makes sure, before anything is loaded, that this worker can write.

        Raises:
            LoaderError: It cannot.
        """
        for place, at in self._places.items():
            try:
                await at.prove()
            except (LoaderError, OSError) as error:
                raise self._cannot(place, error) from error

    async def keep_rejects(self, shard: int, content: bytes, *, whole: bool) -> None:
        """Writes the rejects of a shard, if there are any.

        Args:
            whole: Whether its run has come to the end.

        Raises:
            LoaderError: They cannot be written.
        """
        if self.rejects is not None and content:
            await self._put(self.rejects, shard_file(self._job, shard, REJECTS_ENDING), content, replace=whole)

    async def keep_ids(self, shard: int, lines: bytes) -> None:
        """Writes the ids of a shard whose run has come to the end, if there are any.

        Raises:
            LoaderError: They cannot be written.
        """
        if self.ids is not None and lines:
            content = header(self._job, self._layout) + b"".join(sorted(lines.splitlines(keepends=True)))
            await self._put(self.ids, shard_file(self._job, shard, IDS_ENDING), content, replace=True)

    async def _put(self, place: str, name: str, content: bytes, *, replace: bool) -> None:
        try:
            await self._places[place].put(name, content, replace=replace)
        except (LoaderError, OSError) as error:
            raise self._cannot(place, error) from error

    def _cannot(self, place: str, error: LoaderError | OSError) -> LoaderError:
        who = f"Dask worker {self._worker} cannot write to {place}"
        if isinstance(error, OSError):
            way_out = (
                "Make room there" if error.errno in NO_ROOM else "Every worker must see and may write the same folder"
            )
            return LoaderError(f"{who}: {error.strerror or error}", f"{way_out}; then run the same command again")
        return type(error)(f"{who}: {error.args[0]}", error.hint)
