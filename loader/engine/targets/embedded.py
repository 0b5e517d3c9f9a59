"""The bundled server as target: it is started for the loads, and loaded like any other server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from loader.engine.execution import Execution
from loader.engine.targets.base import LoadTarget, Preflight
from loader.engine.targets.redis import RedisTarget
from loader.jobs.report import LoadReport
from loader.settings import LoadOptions
from loader.sources.base import Source


class EmbeddedTarget(LoadTarget):
    """A ``RedisTarget`` with a server of its own.

    Args:
        directory: The directory for its data; None if the data is deleted on closing.
    """

    def __init__(self, options: LoadOptions, directory: Path | None, preflight: Preflight) -> None:
        self._options = options
        self._directory = directory
        self._preflight = preflight
        self._server = AsyncExitStack()
        self._redis: RedisTarget | None = None

    async def open(self) -> None:
        from loader.servers.embedded import embedded_server  # importing it takes 20 ms, and only this option needs it

        address = await self._server.enter_async_context(embedded_server(self._directory))
        self._redis = RedisTarget(self._options, address, self._preflight)

    async def run(self, sources: Sequence[Source], report: LoadReport, execution: Execution) -> None:
        assert self._redis is not None  # noqa: S101 - it is open
        await self._redis.run(sources, report, execution)

    async def pending(self) -> int | None:
        return None if self._redis is None else await self._redis.pending()

    async def close(self) -> None:
        self._redis = None
        await self._server.aclose()
