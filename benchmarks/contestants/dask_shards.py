"""runqy-loader on a Dask cluster of this machine, with what its shards cost."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from benchmarks.contestants.base import Plan, Work
from benchmarks.errors import WrongResultError
from benchmarks.measure import Usage


@dataclass(frozen=True, slots=True)
class DaskShards:
    """See ``Contestant``.

    Attributes:
        cluster: The number of Dask workers, with one thread each.
        shard_bytes: The size of a shard.
    """

    cluster: int
    shard_bytes: int
    name: str = "runqy-loader-dask"
    label: str = "runqy-loader load --engine dask"
    note: str = "validates every payload, and keeps the exactly-once ledger and the claims"
    same_work: bool = True
    most_tasks: int | None = None

    def prepare(self, work: Work) -> Plan:
        command = [
            sys.executable, "-m", "benchmarks.dask_shards", str(work.dataset.path), work.target.url,
            str(self.cluster), str(self.shard_bytes),
        ]  # fmt: skip
        return Plan(command, seconds=lambda usage: _said(usage)["seconds"], same_ids=False, figures=_said)


@dataclass(frozen=True, slots=True)
class DaskSkew:
    """See ``Contestant``.

    Attributes:
        cluster: The number of Dask workers, with one thread each.
        files: The number of gzip files.
        share: The share of the records that the last file has; 0 for as many as the others.
    """

    cluster: int
    files: int
    share: float
    name: str = "runqy-loader-dask-skew"
    label: str = "runqy-loader load --engine dask"
    note: str = "validates every payload, and keeps the exactly-once ledger and the claims"
    same_work: bool = True
    most_tasks: int | None = None

    def prepare(self, work: Work) -> Plan:
        command = [
            sys.executable, "-m", "benchmarks.dask_skew", str(work.dataset.path), work.target.url,
            str(self.cluster), str(self.files), str(self.share),
        ]  # fmt: skip
        return Plan(command, seconds=lambda usage: _said(usage)["seconds"], same_ids=False, figures=_said)


def _said(usage: Usage) -> dict[str, float]:
    try:
        found: dict[str, float] = json.loads(usage.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise WrongResultError(f"it says: {usage.stdout[-300:]} {usage.stderr[-300:]}") from error
    return found
