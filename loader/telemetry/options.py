"""Options for what a run tells other systems."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from loader.errors import UsageError
from loader.extras import require
from loader.outputs.names import METRICS
from loader.settings.check import check_declared
from loader.settings.option import Needs, Option
from loader.settings.values import convert_values

if TYPE_CHECKING:
    from loader.telemetry.otlp import Otlp

_GROUP = "Metrics and traces"

OTLP = Option(
    help="Send metrics and traces by OTLP over HTTP to this address, such as http://localhost:4318. Headers and all "
    "else come from the OTEL_ variables of OpenTelemetry.",
    group=_GROUP,
    unit="URL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOptions:
    """Options of a command that has metrics while it runs."""

    metrics_port: Annotated[
        int | None,
        Option(
            help="Show metrics for Prometheus at this port, as /metrics, while the command runs; 0 for any free port, "
            "which is then shown.",
            group=_GROUP,
            unit="PORT",
            at_least=0,
            at_most=65_535,
        ),
    ] = None
    metrics_host: Annotated[
        str,
        Option(
            help="Address for --metrics-port to listen at. Everybody who reaches it can read the names of queues and "
            "jobs.",
            group=_GROUP,
            unit="HOST",
            goes_with=(Needs("metrics_port"),),
        ),
    ] = "127.0.0.1"
    metrics_file: Annotated[
        Path | None,
        Option(
            help="Write metrics for Prometheus to this file, every few seconds and at the end: NAME.prom in the folder "
            "of node_exporter's textfile collector.",
            group=_GROUP,
            unit="FILE",
            writes=METRICS,
        ),
    ] = None
    otlp: Annotated[str | None, OTLP] = None

    def __post_init__(self) -> None:
        convert_values(self)

    @property
    def is_on(self) -> bool:
        """Whether anything is asked for."""
        return self.metrics_port is not None or self.metrics_file is not None or self.otlp is not None

    @property
    def files(self) -> list[Path]:
        """The files. They are no input."""
        return [] if self.metrics_file is None else [self.metrics_file]

    def require_no_input(self, paths: Iterable[str]) -> None:
        """Raises UsageError if a file is an input that is named itself: it is written before the input is read."""
        own = {os.path.realpath(path) for path in self.files}
        for path in paths:
            if os.path.realpath(path) in own:
                raise UsageError(
                    f"{path} is an input, and --metrics-file would write to it", "Name another file to write to"
                )

    def check(self) -> None:
        """Raises UsageError if the options cannot be used here."""
        check_declared(self)
        if self.metrics_file is not None and self.metrics_file.suffix != ".prom":
            raise UsageError(
                f"--metrics-file {self.metrics_file}: the name must end in .prom",
                "node_exporter reads no other files",
            )
        if self.metrics_port is not None or self.metrics_file is not None:
            require("metrics", "--metrics-port" if self.metrics_port is not None else "--metrics-file")
        if self.otlp is not None:
            check_otlp(self.otlp)


def sender(endpoint: str) -> Otlp:
    """What sends to ``--otlp``.

    Raises:
        UsageError: OpenTelemetry refuses the value of one of its variables, some of them when it is imported.
    """
    try:
        from loader.telemetry.otlp import Otlp

        return Otlp(endpoint)
    except ValueError as error:
        why = str(error).rstrip(".")
        raise UsageError(
            f"--otlp: OpenTelemetry refuses its settings: {why}", "Look at the variables OTEL_… that are set"
        ) from error


def _is_base(endpoint: str) -> bool:
    """Whether ``/v1/metrics`` can be put after a URL."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return False
    is_whole = bool(parts.hostname) and not any(one.isspace() for one in endpoint)
    return parts.scheme in ("http", "https") and is_whole and port != 0 and not parts.query and not parts.fragment


def check_otlp(endpoint: str) -> None:
    """Raises UsageError if ``--otlp`` cannot be used."""
    if not _is_base(endpoint):
        shown = endpoint if "@" not in endpoint else f"…@{endpoint.rpartition('@')[2]}"
        raise UsageError(f"--otlp {shown!r} is no URL of HTTP", "Write it like http://localhost:4318")
    require("otel", "--otlp")
