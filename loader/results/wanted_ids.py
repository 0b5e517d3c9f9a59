"""The ids to wait for: from a file in one of several forms, or from the ids file of a job."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import IO, cast

import orjson

from loader.errors import LoaderError, SourceError
from loader.jobs.ids_file import HEADER
from loader.jobs.standing import DONE, job_key
from loader.outputs.gzip import open_stored
from loader.outputs.names import IDS_ENDING
from loader.outputs.place import is_place, shard_file
from loader.results.outstanding import Waiting
from loader.servers.routing import Servers
from loader.settings import is_job_name
from loader.tasks.ids import check_task_id
from loader.tasks.profiles import LayoutName
from loader.wire.faults import translated

_LAYOUTS: tuple[LayoutName, ...] = ("documented", "asynq")
log = logging.getLogger("runqy_loader")

_FORMS = "Write ID, ID <tab> QUEUE, or an object with 'id' and 'queue', one a line"


@dataclass(frozen=True, slots=True)
class IdsSource:
    """An ids file, and what is known of its tasks.

    Attributes:
        path: None for standard input.
        loaded: Whether its tasks are known to have been loaded.
        layout: Layout of the tasks, if known.
    """

    path: Path | None
    loaded: bool = False
    layout: LayoutName | None = None

    @property
    def name(self) -> str:
        return "standard input" if self.path is None else str(self.path)


def ids_source(path: Path) -> IdsSource:
    """A file of ids, or '-'. In a file that a load has written, the first line names the job and the layout.

    Raises:
        SourceError: The file cannot be read.
    """
    if str(path) == "-":
        return _with_header(IdsSource(None), cast(BufferedReader, sys.stdin.buffer).peek(4096).partition(b"\n")[0])
    try:
        with open_stored(path) as file:
            return _with_header(IdsSource(path), file.readline(4096))
    except EOFError as error:
        raise _cut_short(str(path)) from error
    except OSError as error:
        raise _unreadable(str(path), error) from error


async def ids_of_job(servers: Servers, job: str) -> IdsSource:
    """The ids file whose path the job's record holds.

    Raises:
        LoaderError: There is no such job, or it has no ids file, or the file is not on this host.
    """
    key = job_key(job)
    with translated(f"{servers}, key {key}"):
        manifest, path, state = await servers.client_of(key).execute("HMGET", key, "manifest", "ids", "state")
    hint = "Run its load again with --ids-out FILE: it loads nothing twice, and writes the ids of all tasks that are in"
    if manifest is None:
        raise LoaderError(f"there is no job {job} on {servers}", "Check --job and --redis")
    if path is None:
        raise LoaderError(f"job {job} was loaded without --ids-out, so its ids are not known", hint)
    if is_place(path.decode()):
        raise LoaderError(f"the ids of job {job} are in {path.decode()}, one file a shard", in_one_file(job))
    file = Path(path.decode())
    if not await asyncio.to_thread(file.exists):
        raise LoaderError(
            f"the ids file of job {job}, {file}, does not exist here", f"Wait on the host that has it. {hint}"
        )
    if state != DONE.encode():
        log.warning("job %s is not completely loaded: waiting for the tasks that its ids file names so far", job)
    layout = orjson.loads(manifest).get("layout")
    return IdsSource(file, loaded=True, layout=layout if layout in _LAYOUTS else None)


def in_one_file(job: str) -> str:
    """What to do if the ids of a job are in one file a shard."""
    name = shard_file(job, 0, IDS_ENDING).replace("000000", "*")
    return f"Put the files {name} together (cat), and name the result with --ids"


def read_ids(source: IdsSource, queue: str | None) -> Iterator[Waiting]:
    """The tasks of a file, in its order.

    Args:
        queue: Full name of the queue of tasks whose line names none.

    Raises:
        SourceError: The file cannot be read, or a line has no valid id.
    """
    try:
        if source.path is None:
            yield from _read(source, sys.stdin.buffer, queue)
        else:
            with open_stored(source.path) as file:
                yield from _read(source, file, queue)
    except EOFError as error:
        raise _cut_short(source.name) from error
    except OSError as error:
        raise _unreadable(source.name, error) from error


def _read(source: IdsSource, file: IO[bytes], queue: str | None) -> Iterator[Waiting]:
    first = file.readline()
    known = _with_header(source, first).loaded
    lines = file if first.startswith(HEADER) else chain((first,), file)
    for number, line in enumerate(lines, 2 if first.startswith(HEADER) else 1):
        stripped = line.strip(b"\r\n")
        if not stripped or stripped.startswith(HEADER):  # of another file, if several were put together
            continue
        try:
            task_id, own_queue, was_seen = _of_object(stripped) if stripped.startswith(b"{") else _of_columns(stripped)
        except ValueError as error:
            raise SourceError(f"{source.name}:{number}: {error}", _FORMS) from error
        yield Waiting(task_id, own_queue or queue, known or was_seen, None)


def _of_columns(line: bytes) -> tuple[str, str | None, bool]:
    name, _, queue = line.decode().partition("\t")
    return check_task_id(name), queue or None, False


def _of_object(line: bytes) -> tuple[str, str | None, bool]:
    value = orjson.loads(line)
    queue = value.get("queue")
    if "id" not in value or not (queue is None or isinstance(queue, str)):
        raise ValueError("the object has no field 'id', or a 'queue' that is not text")
    # An earlier wait that ended first has written 'pending' for the tasks that it had seen.
    return check_task_id(value["id"]), queue, value.get("status") == "pending"


def _with_header(source: IdsSource, line: bytes) -> IdsSource:
    if not line.startswith(HEADER):
        return source
    pairs = dict(pair.partition("=")[::2] for pair in line.removeprefix(HEADER).decode(errors="replace").split())
    layout = next((known for known in _LAYOUTS if known == pairs.get("layout")), None)
    return IdsSource(source.path, is_job_name(pairs.get("job", "")), source.layout or layout)


def _cut_short(name: str) -> SourceError:
    return SourceError(
        f"{name} ends in the middle of its gzip stream", "Run the load that writes it again: it writes the file anew"
    )


def _unreadable(name: str, error: OSError) -> SourceError:
    return SourceError(f"{name} cannot be read: {error.strerror or error}", "Check that it exists and your permissions")
