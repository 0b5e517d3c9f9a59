"""Every command that reads or writes one server, in an order in which each has something to do."""

from __future__ import annotations

from collections.abc import Iterator


def commands(url: str) -> Iterator[tuple[str, ...]]:
    """Commands for a folder with the file ``in.jsonl``. ``wait`` ends with 4, since nobody executes the tasks.

    The tasks are in queue q at the end, and their job is forgotten.
    """
    load = ("load", "in.jsonl", "-q", "q", "--redis", url, "--job", "j", "--ids-out", "ids.jsonl", "--layout", "asynq")
    yield load
    yield ("doctor", "-q", "q", "--redis", url, "--layout", "asynq")
    yield ("inspect", "--redis", url)
    yield ("watch", "--redis", url, "-q", "q", "--count", "1", "--sample-tasks", "10")
    yield ("export", "-q", "q", "--redis", url)
    yield ("consume", "-q", "empty", "--redis", url, "--layout", "asynq", "--until-empty")
    yield ("wait", "--ids", "ids.jsonl", "--redis", url, "--timeout", "0", "--out", "-")
    yield ("verify", "j", "--redis", url)
    yield ("jobs", "--redis", url)
    yield ("jobs", "show", "j", "--redis", url)
    yield ("jobs", "expire", "j", "1h", "--redis", url)
    yield ("jobs", "clean", "--redis", url)
    yield ("rollback", "j", "--redis", url)
    yield load
    yield ("jobs", "forget", "j", "--yes", "--redis", url)
