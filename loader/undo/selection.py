"""Which ids are a job's: by the prefix of the ids that are generated for it, or by its ids file."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loader.errors import LoaderError, UsageError
from loader.jobs.how import load_command
from loader.jobs.ids_file import HEADER
from loader.jobs.records import PREFIX_BYTES
from loader.jobs.standing import Standing
from loader.outputs.gzip import open_stored
from loader.outputs.place import is_place
from loader.results.outstanding import Waiting
from loader.results.wanted_ids import ids_source, in_one_file, read_ids
from loader.tasks.ids import ID_BYTES, id_prefix

_AT_ONCE = 500_000
"""Own ids that are looked for in one pass over the queues: about 60 MB of memory."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Ids of one job, for one pass over its queues.

    Attributes:
        prefixes: The prefixes of the ids that are generated for it.
        own: Ids from its records, by queue (its full name).
    """

    prefixes: frozenset[bytes]
    own: dict[str, set[bytes]] = field(default_factory=dict)

    def of(self, queue: str, ids: Sequence[bytes]) -> list[bytes]:
        """Those ids of a queue that are the job's.

        Hot path: about 100 ns an id.
        """
        prefixes, own = self.prefixes, self.own.get(queue)
        if own:
            return [one for one in ids if one in own or (one[:PREFIX_BYTES] in prefixes and len(one) == ID_BYTES)]
        return [one for one in ids if one[:PREFIX_BYTES] in prefixes and len(one) == ID_BYTES]


def prefixes_of(job: Standing) -> frozenset[bytes]:
    """The prefixes of the ids that are generated for a job.

    Raises:
        LoaderError: An earlier version has begun the job, and they cannot be known without its input.
    """
    if job.prefixes is not None:
        return job.prefixes
    manifest = job.manifest or {}
    size = int(manifest["shard_bytes"])
    for source in manifest["sources"]:
        if (source["size"] or 0) > size and not str(source["format"]).endswith(".gz"):
            raise LoaderError(
                f"an earlier version of runqy-loader has begun job {job.name}, and did not record how its ids begin",
                f"Run its load again: it records that, and loads nothing that is in: {load_command(job)}",
            )
    digests = [source["digest"] for source in manifest["sources"]]
    return frozenset(id_prefix(job.name, number, digest) for number, digest in enumerate(digests))


def ids_path(job: Standing, given: Path | None) -> Path | None:
    """The file with the ids of a job's tasks, if it is needed.

    Raises:
        UsageError: It is needed, and not known.
        LoaderError: The file is of another job.
    """
    if given is None and not job.has_own_ids:
        return None
    if given is None and job.ids is not None and is_place(job.ids):
        raise UsageError(f"the ids of job {job.name} are in {job.ids}, one file a shard", in_one_file(job.name))
    recorded = None if job.ids is None else Path(job.ids)
    path = given or recorded
    if path is None or (given is None and not path.exists()):
        missing = f"its ids file {path} is not here" if path is not None else "it was loaded without --ids-out"
        raise UsageError(
            f"the ids of job {job.name} may come from its records, and {missing}",
            f"Have a load write it, which loads nothing that is in: {load_command(job)} --ids-out FILE; then: "
            f"runqy-loader rollback {job.name} --ids FILE",
        )
    ids_source(path)  # raises an error if it cannot be read
    with open_stored(path) as file:
        first = file.readline(4096)
    if first.startswith(HEADER) and f"job={job.name}".encode() not in first.split():
        raise LoaderError(f"{path} has the ids of another job than {job.name}", "Give the file of this job")
    return path


def count_ids(path: Path, queue: str | None, queues: Collection[str]) -> int:
    """The number of different tasks of some queues in a file.

    This takes 8 bytes of memory for each line.

    Args:
        queue: The queue of ids whose line names none.
        queues: Full names.

    Raises:
        LoaderError: The file cannot be read, or a line names no queue.
    """
    found = Distinct()
    for task in _tasks(path, queue):
        if task.queue in queues:
            found.add((task.id, task.queue))
    return found.count()


class Distinct:
    """Counts different values, in 8 bytes of memory for each."""

    def __init__(self) -> None:
        self._parts = [array("q") for _ in range(256)]

    def add(self, value: Hashable) -> None:
        code = hash(value)  # of 64 bits: of a hundred million, two are the same once in 3,000 times
        self._parts[code & 255].append(code)

    def count(self) -> int:
        """How many different values there are."""
        return sum(len(set(part)) for part in self._parts)

    def repeated(self) -> int:
        """How many values have been added once more."""
        return sum(map(len, self._parts)) - self.count()


def _tasks(path: Path, queue: str | None) -> Iterator[Waiting]:
    for task in read_ids(ids_source(path), queue):
        if task.queue is None:
            raise LoaderError(f"{path}: the line of {task.id} names no queue", "Write ID <tab> QUEUE, one a line")
        yield task


def selections(prefixes: frozenset[bytes], path: Path | None, queue: str | None) -> Iterator[Selection]:
    """The passes over the queues: one, or several for a large file of ids.

    Args:
        queue: The queue of ids whose line names none.

    Raises:
        LoaderError: The file cannot be read, or a line names no queue.
    """
    if path is None:
        yield Selection(prefixes)
        return
    own: dict[str, set[bytes]] = {}
    held = 0
    for task in _tasks(path, queue):
        own.setdefault(task.queue or "", set()).add(task.id.encode())
        held += 1
        if held >= _AT_ONCE:
            yield Selection(prefixes, own)
            own, held = {}, 0
    yield Selection(prefixes, own)
