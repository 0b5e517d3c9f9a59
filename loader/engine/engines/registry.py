"""Chooses the engine. A new one is one new package, one value of ``--engine`` and one case here."""

from __future__ import annotations

from loader.engine.engines.base import Engine
from loader.engine.engines.local import LocalEngine
from loader.settings import LoadOptions


def engine_of(options: LoadOptions) -> Engine:
    """The engine that the options of a load want."""
    match options.engine:
        case "dask":
            from loader.engine.dask.engine import DaskEngine  # needs the extra dask

            return DaskEngine(options)
        case "local":
            return LocalEngine()
