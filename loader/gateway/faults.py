"""What clients and the log are told when Redis is away or refuses."""

from __future__ import annotations

from loader.errors import LoaderError
from loader.gateway.http import HttpError, unavailable
from loader.gateway.link import WrongTypeError
from loader.gateway.rare_warnings import RareWarnings
from loader.gateway.writer import NotEnqueuedError, UnknownOutcomeError


def redis_unavailable(error: LoaderError, warnings: RareWarnings) -> HttpError:
    """The answer to a request that has failed because of Redis."""
    if isinstance(error, NotEnqueuedError | UnknownOutcomeError):
        return unavailable(error.args[0])
    warnings.warn(str(error))
    if isinstance(error, WrongTypeError):
        return unavailable(f"{error.args[0]}; nothing was done")
    return unavailable("Redis is not available; nothing was done")
