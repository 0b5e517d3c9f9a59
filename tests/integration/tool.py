"""``runqy-loader load`` as the tests run it, and what they look at afterwards."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cli import Outcome, command, environment, run

Redis = Any
"""A redis-py client; Any, as in tests/conftest.py."""

NOWHERE = "redis://127.0.0.1:1/0"

QUEUES = """\
queues:
  inference:
    sub_queues:
      - {name: premium, priority: 10}
      - {name: standard, priority: 3}
  simple: {priority: 1}
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """``runqy-loader load`` in a folder of its own, against one server."""

    folder: Path
    url: str

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def load(
        self,
        *arguments: str | Path,
        url: str | None = None,
        stdin: bytes | None = None,
        env: dict[str, str] | None = None,
    ) -> Outcome:
        """A quiet run with its report on standard output."""
        shared = ("--redis", url or self.url, "--report", "-", "--quiet")
        return run("load", *arguments, *shared, cwd=self.folder, stdin=stdin, env=env)


def payloads(db: Redis, queue: str) -> list[bytes]:
    """The payloads of a queue, the first to be consumed first."""
    ids = [task_id.decode() for task_id in reversed(db.lrange(f"asynq:{queue}:pending", 0, -1))]
    return [db.hget(f"asynq:t:{task_id}", "payload") for task_id in ids]


def counts(outcome: Outcome) -> tuple[int, int, int, int]:
    """Records read, loaded, loaded already, rejected; and they add up, also over the sources."""
    report = outcome.report
    names = ("records_read", "loaded", "already_loaded", "rejected")
    for name in (*names, "bytes_read"):
        assert report[name] == sum(source[name] for source in report["sources"])
    assert sum(report["queues"].values()) == report["loaded"]
    assert sum(report["rejected_by_code"].values()) == report["rejected"]
    read, loaded, already, rejected = (report[name] for name in names)
    if report["status"] == "completed" and not report["dry_run"]:
        assert read == loaded + already + rejected
    return read, loaded, already, rejected


def assert_fine(outcome: Outcome, status: int = 0) -> None:
    """It ended with this status, and a quiet run said nothing."""
    assert (outcome.status, outcome.stderr) == (status, "")


def assert_error(outcome: Outcome, status: int, *words: str) -> None:
    """It ended with this status and one line that says what is wrong, and nothing else."""
    assert outcome.status == status, outcome.stderr
    lines = outcome.stderr.splitlines()
    assert len(lines) == 1, outcome.stderr
    assert lines[0].startswith("runqy-loader: error: ")
    assert "Traceback" not in lines[0] and "This is a bug" not in lines[0]
    for word in words:
        assert word in lines[0]


def rejects(tool: Tool, outcome: Outcome) -> list[dict[str, Any]]:
    lines = (tool.folder / outcome.report["rejects_file"]).read_bytes().splitlines()
    return [json.loads(line) for line in lines]


def run_with_stdin(tool: Tool, stdin: int, *arguments: str) -> Outcome:
    """A quiet run with a given standard input, and its report on standard output."""
    done = subprocess.run(
        command("load", *arguments, "--redis", tool.url, "--report", "-", "--quiet"),
        cwd=tool.folder,
        env=environment(),
        stdin=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


def piped(tool: Tool, pieces: list[bytes], *arguments: str) -> Outcome:
    """A quiet run whose standard input arrives in pieces, with a pause before each but the first."""
    with subprocess.Popen(
        command("load", *arguments, "--redis", tool.url, "--report", "-", "--quiet"),
        cwd=tool.folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        for index, piece in enumerate(pieces):
            time.sleep(0.8 if index else 0)
            process.stdin.write(piece)
            process.stdin.flush()
        out, err = process.communicate(timeout=60)
    return Outcome(process.returncode, out.decode(), err.decode())
