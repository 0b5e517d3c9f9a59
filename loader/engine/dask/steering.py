"""Passes on what is ordered for a run to the workers of a Dask cluster: each shard that runs gets its share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from loader.engine.dask.host import order_run
from loader.engine.dask.messages import Ordered
from loader.engine.dask.workers import Workers
from loader.jobs.orders import Orders


class Steering:
    """Tells workers the orders for a run.

    Args:
        workers: Of the cluster.
        token: Of the run.
        shards: Tells how many shards are not done.
    """

    def __init__(self, workers: Workers, token: str, shards: Callable[[], int]) -> None:
        self._workers = workers
        self._token = token
        self._shards = shards
        self._orders = Orders()
        self._ordered = Ordered(0, Orders())
        self._told: tuple[Ordered, frozenset[str]] | None = None
        self._telling = asyncio.Lock()

    def order(self, orders: Orders) -> None:
        """From now on, these are the orders; ``tell`` has workers follow them."""
        self._orders = orders

    def share(self) -> Ordered:
        """The orders for each shard that runs, of as many as may run at once."""
        orders = self._orders.shared(max(1, min(self._workers.threads, self._shards())))
        if orders != self._ordered.orders:
            self._ordered = Ordered(self._ordered.number + 1, orders)
        return self._ordered

    async def tell(self) -> None:
        """Tells all workers what is ordered, if there is one that may not know it. A call that fails is made good by
        the next one."""
        if self._telling.locked():
            return
        async with self._telling:
            while (news := (self.share(), self._workers.live)) != self._told:
                ordered, live = news
                # As long as nothing was ordered, there is nothing that a worker must hear.
                if ordered.number and live and not await self._workers.tell(order_run, self._token, ordered):
                    return
                self._told = news
