"""Two ways to load the elements of a JSON array: ``--format json-array``, and jq before the loader."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT, reported_seconds
from benchmarks.errors import UnavailableError
from benchmarks.payloads import Dataset
from benchmarks.recorder import loader_command


@dataclass(frozen=True, slots=True)
class ArrayLoader:
    """See ``Contestant``. The input is an array with an element on each line, in a file that is not measured.

    Args:
        through_jq: Whether jq makes lines of the elements.
    """

    through_jq: bool = False
    most_tasks: int | None = None

    @property
    def name(self) -> str:
        return "jq-and-runqy-loader" if self.through_jq else "runqy-loader-array"

    @property
    def label(self) -> str:
        return "jq -c '.[]', then runqy-loader load -" if self.through_jq else "runqy-loader --format json-array"

    @property
    def same_work(self) -> bool:
        return not self.through_jq

    @property
    def note(self) -> str:
        return "jq writes every payload anew" if self.through_jq else "payloads keep their bytes"

    def prepare(self, work: Work) -> Plan:
        array = work.scratch / "array.json"
        _write_array(work.dataset, array)
        options = list(work.options) if work.workers is None else [*work.options, f"--workers={work.workers}"]
        if not self.through_jq:
            options.append("--format=json-array")
            command = loader_command(array, work.target.url, work.batch_size, REPORT, *options)
        else:
            if shutil.which("jq") is None:
                raise UnavailableError("jq is not installed")
            load = loader_command(Path("-"), work.target.url, work.batch_size, REPORT, *options)
            command = ["sh", "-c", f"jq -c '.[]' {shlex.quote(str(array))} | {shlex.join(load)}"]
        return Plan(command, seconds=reported_seconds(work.scratch))


def _write_array(dataset: Dataset, path: Path) -> None:
    with dataset.path.open("rb") as lines, path.open("wb") as array:
        before = b"[\n"
        for line in lines:
            array.write(before + line.rstrip(b"\n"))
            before = b",\n"
        array.write(b"\n]\n")


ARRAY = ArrayLoader()
JQ = ArrayLoader(through_jq=True)
