"""Records from a template: written by ``generate``, by a script with Faker, read from a file, loaded without one."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT, reported_seconds
from benchmarks.errors import UnavailableError
from benchmarks.recorder import PROGRAM, loader_command

TEMPLATE = {
    "prompt": "{{ text(uniform(35, 65)) }}",
    "user": "user-{{ int(1, 100000) }}",
    "seed": "{{ int(1000000000, 1999999999) }}",
    "steps": "{{ int(20, 50) }}",
}
"""Records of about 110 bytes."""

NAMES = {"name": "{{ name }}", "email": "{{ email }}", "city": "{{ city }}", "age": "{{ int(18, 99) }}"}
"""Records of about 90 bytes, as the script with Faker makes them."""

_FAKER = """
import json, sys
from faker import Faker
fake = Faker()
fake.seed_instance(1)
with open(sys.argv[1], "w") as file:
    for _ in range(int(sys.argv[2])):
        record = {"name": fake.name(), "email": fake.email(), "city": fake.city(), "age": fake.random_int(18, 99)}
        file.write(json.dumps(record) + "\\n")
"""
_READING = """
import sys
with open(sys.argv[1], "rb") as file:
    for line in file:
        pass
"""


def template_in(folder: Path, template: dict[str, str] = TEMPLATE) -> Path:
    """A file with the template."""
    path = folder / "template.json"
    path.write_text(json.dumps(template))
    return path


@dataclass(frozen=True, slots=True)
class GeneratedLoad:
    """See ``Contestant``. It loads what is in the dataset's file, without the file."""

    name: str = "runqy-loader-generate"
    label: str = "runqy-loader load --generate"
    note: str = "makes the records on their way"
    discard: bool = False
    most_tasks: int | None = None

    @property
    def same_work(self) -> bool:
        return not self.discard

    def prepare(self, work: Work) -> Plan:
        source = ("--generate", str(template_in(work.scratch)), "--count", str(work.dataset.tasks))
        url = "discard" if self.discard else work.target.url
        command = loader_command(None, url, work.batch_size, REPORT, *source, *work.options)
        return Plan(command, seconds=reported_seconds(work.scratch))


@dataclass(frozen=True, slots=True)
class Writing:
    """See ``Contestant``. It makes a file, or reads one, and loads nothing."""

    name: str
    label: str
    way: Literal["template", "names", "faker", "reading"]
    note: str = ""
    same_work: bool = False
    most_tasks: int | None = None

    def prepare(self, work: Work) -> Plan:
        count = str(work.dataset.tasks)
        if self.way == "reading":
            return Plan([sys.executable, "-c", _READING, str(work.dataset.path)])
        if self.way == "faker":
            if find_spec("faker") is None:
                raise UnavailableError("Faker is not installed")
            return Plan([sys.executable, "-c", _FAKER, "made.jsonl", count])
        template = template_in(work.scratch, TEMPLATE if self.way == "template" else NAMES)
        return Plan([*PROGRAM, "generate", str(template), "--count", count, "-o", "made.jsonl", "--quiet"])


GENERATED = GeneratedLoad()
GENERATED_DISCARDING = GeneratedLoad(
    "runqy-loader-generate-discard",
    "runqy-loader load --generate, discarding",
    "makes all commands and sends them nowhere",
    discard=True,
)
GENERATE = Writing("generate", "runqy-loader generate", "template", "whole process, with its start")
GENERATE_NAMES = Writing("generate-names", "runqy-loader generate, names", "names", "whole process, with its start")
FAKER = Writing("faker", "a script with Faker, names", "faker", "one record after the other")
READING = Writing("reading", "reading the file in Python", "reading", "line by line, and nothing else")
