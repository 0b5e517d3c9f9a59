"""A Redis server or cluster as target: the job's record, its lease and its ledger around the pipeline."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from loader.engine.execution import Execution
from loader.engine.targets.base import LoadTarget, Preflight
from loader.engine.targets.redis_load import RedisLoad
from loader.errors import SourceChangedError, TooManyRejectsError
from loader.jobs.report import LoadReport
from loader.settings import LoadOptions
from loader.sources.base import Source
from loader.spans import span
from loader.wire.address import Address


class RedisTarget(LoadTarget):
    """Loads each task exactly once; see docs/reference.md.

    Args:
        preflight: Raises an error for a load that cannot work.
    """

    def __init__(self, options: LoadOptions, address: Address, preflight: Preflight) -> None:
        self._options = options
        self._address = address
        self._preflight = preflight
        self._begun: RedisLoad | None = None

    async def run(self, sources: Sequence[Source], report: LoadReport, execution: Execution) -> None:
        load = RedisLoad(self._options, self._address, sources, report, is_spread=execution.is_spread)
        try:
            with span("connect"):
                await load.reach()
            with span("check"):
                await load.find(self._preflight)
                known = await load.known_queues()
                await load.check(self._preflight, known)
            with span("begin job"):
                await load.begin()
                self._begun = load
                await load.note_ids_file()
            with span("load shards"):
                complete = await load.work(execution, known)
            if complete:
                with span("confirm"):
                    await load.finish()
        except (TooManyRejectsError, SourceChangedError) as error:
            await load.take_back(error)
            raise
        finally:
            self._begun = None
            await load.end(sys.exception())

    async def pending(self) -> int | None:
        return None if self._begun is None else await self._begun.pending()
