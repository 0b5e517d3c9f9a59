"""Chooses the target. A new kind of target is one new module, one class in ``loader.wire.target`` and one case here."""

from __future__ import annotations

from loader.engine.targets.base import LoadTarget, Preflight
from loader.engine.targets.embedded import EmbeddedTarget
from loader.engine.targets.nowhere import Nowhere, discarded, validated
from loader.engine.targets.preview import Preview
from loader.engine.targets.redis import RedisTarget
from loader.extras import require
from loader.outputs.place import is_url, place_of
from loader.settings import LoadOptions
from loader.settings.server_address import server_address
from loader.sources.remote.address import EXTRA_OF, parse_address
from loader.wire.target import ToDiscard, ToEmbedded, ToHttp, ToRedis


def require_extras(options: LoadOptions) -> None:
    """Raises UsageError if these options need a package of an extra that is not installed, or an interpreter."""
    match options.target:
        case ToHttp():
            require("http", "--to")
        case ToEmbedded():
            require("embedded", "--redis embedded")
    if options.engine == "dask":
        require("dask", "--engine dask")
    for place in filter(None, (place_of(options.rejects), place_of(options.ids_out))):
        if is_url(place):
            require(EXTRA_OF[parse_address(place).scheme], place)
    if options.queues_file is not None:
        require("yaml", "--queues-file")
    if options.max_latency is not None:
        from loader.engine.limits.probing import require_interpreter

        require_interpreter()
    if options.scheduled_by is not None and not options.writes_nothing:
        require("pace", options.scheduled_by)


def asks_server(options: LoadOptions) -> bool:
    """Whether a load with these options looks at a Redis server before it begins."""
    return not options.writes_nothing and isinstance(options.target, ToRedis | ToEmbedded)


def target_for(options: LoadOptions, preflight: Preflight) -> LoadTarget:
    """The target of loads with these options.

    Raises:
        UsageError: The server's URL is not valid, even if nothing would be written to it; or an extra is missing.
    """
    require_extras(options)
    match options.target:
        case _ if options.preview is not None:
            return Preview(options)
        case ToDiscard():
            return Nowhere(options, discarded)
        case ToRedis():
            address = server_address(options)
            return Nowhere(options, validated) if options.dry_run else RedisTarget(options, address, preflight)
        case _ if options.dry_run:
            return Nowhere(options, validated)
        case ToEmbedded(directory):
            return EmbeddedTarget(options, directory, preflight)
        case ToHttp():
            from loader.engine.targets.http import HttpTarget  # an HTTP client is slow to import

            return HttpTarget(options)
