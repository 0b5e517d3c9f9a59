"""Values of metrics, and those that every program has."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import loader
from loader.telemetry import names
from loader.telemetry.names import Metric


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a metric.

    Attributes:
        labels: The values of ``Metric.labels``.
        buckets: Of a histogram: how many values are in each bucket of ``SECONDS``, and, last, how many are larger.
            ``value`` is their sum then.
    """

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()
    buckets: Sequence[int] = ()


def of_program() -> Iterator[Sample]:
    """What is known before there is a report."""
    yield Sample(names.BUILD_INFO, 1, (loader.__version__, platform.python_version()))
