"""Has a running load do what users order from another terminal."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from loader.errors import LoaderError
from loader.jobs.holding import Holding
from loader.jobs.ordering import read_orders
from loader.jobs.orders import Orders
from loader.jobs.standing import shown_time
from loader.servers.routing import Servers

_SECONDS = 1.0
"""The time between two looks at the orders."""
_PAUSE = "pause"

log = logging.getLogger("runqy_loader")


class OrderWatch:
    """Watches the orders for one job.

    Args:
        first: The orders when the run begins.
        order: Has the load do what is ordered.
        holding: Gets for how long the load has paused.
        elsewhere: Whether the server is not the one that commands ask if nothing is said.
    """

    def __init__(
        self,
        servers: Servers,
        job: str,
        first: Orders,
        order: Callable[[Orders], None],
        holding: Holding,
        *,
        elsewhere: bool = False,
    ) -> None:
        self._servers = servers
        self._job = job
        self._resume = f"runqy-loader jobs resume {job}{', with the --redis of this load,' if elsewhere else ''}"
        self._orders = Orders()
        self._first = first
        self._order = order
        self._holding = holding

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Does what is ordered while the block runs."""
        self._follow(self._first)
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])
            self._holding.ends(_PAUSE)

    def tell_what_stays(self) -> None:
        """Says that the next run of the job waits, if it does."""
        if self._orders.paused is not None:
            log.info("the job stays paused: %s lets its next run go on", self._resume)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            try:
                orders = await read_orders(self._servers, self._job)
            except LoaderError as error:
                log.warning(
                    "orders by runqy-loader jobs pause, resume and rate are not followed: the server refuses to tell "
                    "them (%s)",
                    error.args[0],
                )
                return
            if orders is not None:
                self._follow(orders)

    def _follow(self, orders: Orders) -> None:
        before, self._orders = self._orders, orders
        if orders == before:
            return
        self._order(orders)
        if orders.rate != before.rate:
            if orders.rate is None:
                log.info("the rate is again as the options of this load say (runqy-loader jobs rate)")
            else:
                log.info("loading at %s tasks/s (runqy-loader jobs rate)", f"{orders.rate:,.10g}")
        if orders.paused is not None and before.paused is None:
            text = f"paused since {shown_time(orders.paused)}: {self._resume} lets it go on"
            log.info("%s", text)
            self._holding.begins(_PAUSE, text)
        elif orders.paused is None and before.paused is not None:
            log.info("going on after %s s (runqy-loader jobs resume)", f"{self._holding.ends(_PAUSE):,.0f}")
