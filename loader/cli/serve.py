"""``runqy-loader serve``."""

from __future__ import annotations

from loader.cli.commands import Command
from loader.cli.report_options import LogOptions
from loader.extras import require
from loader.gateway.options import ServeOptions


def serve(options: ServeOptions, shown: LogOptions) -> int:
    """Serves runqy's enqueueing API over HTTP: POST /queue/add, POST /queue/add-batch, GET /queue/{id}.

    When a request is answered, its tasks are in Redis. See docs/http-gateway.md.
    """
    # Imported here, so that --help does not wait for imports that only a gateway needs.
    from loader.cli.signals import run
    from loader.cli.stderr import never_wait
    from loader.engine.tuning import tune_process

    require("serve", "serve")
    from loader.gateway.server import serve as serve_gateway

    display = shown.display()
    never_wait()
    tune_process()
    finished = run(serve_gateway(options, display.say))
    return 0 if finished else 130


COMMAND = Command(
    run=serve,
    options=(ServeOptions, LogOptions),
    exit_status="Exit status: 0 stopped by a signal; 1 failed; 2 usage; 130 stopped before requests in flight were "
    "answered.",
)
