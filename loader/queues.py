"""Which queues exist: from runqy's YAML configuration, or from the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import redis.asyncio
import yaml

from loader.errors import UnknownQueueError, UsageError
from loader.wire.faults import translated

QUEUES_KEY = "asynq:queues"
_ENDINGS = (".yaml", ".yml")


def configured_queues(path: Path) -> set[str]:
    """Full names of the queues in a runqy configuration file, or in all of a directory.

    ``queues: {inference: {sub_queues: [{name: premium}, …]}, simple: {…}}``: with ``sub_queues`` the names are
    ``inference.premium`` …; without, ``simple.default``.

    Raises:
        UsageError: A file cannot be read, is no YAML, or has no queues in this form.
    """
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in _ENDINGS)
        if not files:
            raise UsageError(
                f"--queues-file {path}: no YAML file in this directory", "Name runqy's queue configuration"
            )
    return {name for file in files for name in _queues_of(file)}


def _queues_of(file: Path) -> set[str]:
    try:
        content: Any = yaml.safe_load(file.read_bytes())
    except OSError as error:
        raise UsageError(f"--queues-file {file}: {error.strerror}", "Check the path and its permissions") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where is not None else ""
        raise UsageError(f"--queues-file {file}{line}: not valid YAML", "Mend it") from error
    queues = content.get("queues") if isinstance(content, dict) else None
    if not isinstance(queues, dict):
        raise UsageError(f"--queues-file {file}: it has no mapping 'queues'", "Name runqy's queue configuration")
    names: set[str] = set()
    for parent, settings in queues.items():
        subs = settings.get("sub_queues") if isinstance(settings, dict) else None
        if not subs:
            names.add(f"{parent}.default")
            continue
        if not isinstance(subs, list):
            raise UsageError(f"--queues-file {file}: the sub-queues of {parent!r} are no list", "Mend it")
        for sub in subs:
            if not isinstance(sub, dict) or not isinstance(sub.get("name"), str):
                raise UsageError(f"--queues-file {file}: a sub-queue of {parent!r} has no name", "Give it a name")
            names.add(f"{parent}.{sub['name']}")
    return names


async def queues_on_server(control: redis.asyncio.Redis, where: str) -> set[str]:
    """Members of ``asynq:queues``, which servers and workers of the asynq family keep."""
    with translated(f"{where}, key {QUEUES_KEY}"):
        members = await control.smembers(QUEUES_KEY)
    return {str(member, errors="replace") if isinstance(member, bytes) else member for member in members}


def check_queue(queue: str, known: set[str], where: str) -> None:
    """Raises UnknownQueueError, naming the ones that are close."""
    if queue in known:
        return
    parent = queue.split(".")[0]
    near = sorted(name for name in known if name.split(".")[0] == parent) or sorted(known)
    listed = ", ".join(near[:8]) + (", …" if len(near) > 8 else "") if near else "none at all"
    raise UnknownQueueError(f"queue {queue} does not exist in {where}", f"Use one of these: {listed}")
