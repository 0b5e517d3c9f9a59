"""Makes the Dask tasks of a load from its part."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import loader
from loader.engine.dask.messages import Ordered, Setup, ShardTask, packed
from loader.engine.first_records import Earlier
from loader.engine.part import Part
from loader.errors import UsageError
from loader.outputs.place import absolute_place, place_of
from loader.sources.shards import Shard


class Shipping:
    """Makes tasks.

    Args:
        part: The part that is the whole of the load. Any process can read its sources; see ``require_shareable``.
    """

    def __init__(self, part: Part, *, resumed: bool, log_level: int, keeps_rejects: bool) -> None:
        self._part = part
        common = replace(part, sources=(), origins=())
        setup = Setup(
            common,
            resumed,
            log_level,
            keeps_rejects,
            keeps_ids=part.options.ids_out is not None,
            rejects_place=_absolute(part.options.rejects),
            ids_place=_absolute(part.options.ids_out),
        )
        self._setup = packed(setup)

    def task(self, shard: Shard, process: int, ordered: Ordered, earlier: Earlier) -> ShardTask:
        """The task of a shard.

        Raises:
            UsageError: Its sources cannot be sent to other processes.
        """
        indexes = list(dict.fromkeys(piece.source for piece in shard.pieces))
        local = {index: at for at, index in enumerate(indexes)}
        pieces = tuple(replace(piece, source=local[piece.source]) for piece in shard.pieces)
        part = self._part
        return ShardTask(
            self._setup,
            loader.__version__,
            part.run.token,
            replace(shard, pieces=pieces),
            [part.sources[index] for index in indexes],
            [part.origins[index] for index in indexes],
            indexes,
            process,
            ordered,
            earlier,
        )


def _absolute(given: Path | str | None) -> str | None:
    place = place_of(given)
    return None if place is None else absolute_place(place)


def require_picklable(task: ShardTask) -> None:
    """Raises UsageError if a task cannot be sent to other processes."""
    try:
        pickle.dumps(task)
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        raise UsageError(
            f"--engine dask cannot load {task.sources[0].identity.name}: it cannot be sent to other machines ({error})",
            "Load it with --engine local",
        ) from error
