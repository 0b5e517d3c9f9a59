"""``runqy-loader serve``."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Group, Parameter

from loader.errors import UsageError
from loader.extras import require
from loader.gateway.options import ServeOptions

_OUTPUT = Group("Output", sort_key=6)


def serve(
    *,
    options: ServeOptions | None = None,
    quiet: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False,
    verbose: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False,
    debug: Annotated[bool, Parameter(group=_OUTPUT, show_default=False)] = False,
) -> int:
    """Serves runqy's enqueueing API over HTTP: POST /queue/add, POST /queue/add-batch, GET /queue/{id}.

    An answered request is in Redis. See docs/http-gateway.md.

    Parameters
    ----------
    quiet
        Show errors only.
    verbose
        Show more of what happens.
    debug
        On an error, show where in the program it arose.
    """
    # Imported here, so that --help does not wait for what only a gateway needs.
    from loader.cli.display import Display
    from loader.cli.signals import run
    from loader.engine.tuning import tune_process

    require("serve", "serve")
    from loader.gateway.server import serve as serve_gateway

    if quiet and verbose:
        raise UsageError("--quiet and --verbose contradict each other", "Give one of them")
    display = Display(quiet=quiet, verbose=verbose, progress=False)
    tune_process()
    finished = run(serve_gateway(options or ServeOptions(), display.say))
    return 0 if finished else 130
