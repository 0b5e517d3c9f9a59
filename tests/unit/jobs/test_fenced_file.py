"""Files that a run of a job appends to: a run that was suspended, and taken over meanwhile, appends no more."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

import pytest

from loader.errors import JobBusyError
from loader.jobs.fenced_file import FencedFile, begin_file
from loader.jobs.proof import Proof


class Held:
    """A proof that holds from a renewal on, until it is let go.

    Attributes:
        renewals: How often the server was asked.
    """

    def __init__(self, *, lasts: bool = True) -> None:
        self.renewals = 0
        self.is_proved = False
        self._lasts = lasts

    async def renew(self) -> None:
        self.renewals += 1
        self.is_proved = self._lasts

    @property
    def proof(self) -> Proof:
        return Proof(self.renew, lambda: self.is_proved)


def append(path: Path, proof: Proof, *pieces: bytes) -> None:
    async def run() -> None:
        file = FencedFile(path, proof)
        try:
            for piece in pieces:
                await file.append(piece)
        finally:
            file.close()

    asyncio.run(run())


def test_the_server_is_asked_before_the_first_write_and_not_again_while_the_proof_is_fresh(tmp_path: Path) -> None:
    held = Held()
    append(tmp_path / "file", held.proof, b"a\n", b"b\n")
    assert (tmp_path / "file").read_bytes() == b"a\nb\n"
    assert held.renewals == 1


def test_a_server_that_is_too_far_away_for_a_fresh_proof_does_not_stop_the_writes(tmp_path: Path) -> None:
    held = Held(lasts=False)
    append(tmp_path / "file", held.proof, b"a\n", b"b\n")
    assert (tmp_path / "file").read_bytes() == b"a\nb\n"


def test_a_run_that_was_taken_over_writes_nothing(tmp_path: Path) -> None:
    async def taken_over() -> None:
        raise JobBusyError("taken over")

    with pytest.raises(JobBusyError):
        append(tmp_path / "file", Proof(taken_over, lambda: False), b"a\n")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("linked", [False, True], ids=["a file", "a link"])
def test_what_a_run_writes_that_is_suspended_within_a_write_does_not_reach_the_next_one(
    tmp_path: Path, linked: bool
) -> None:
    stored = path = tmp_path / "file"
    stored.write_bytes(b"a\n")
    stored.chmod(0o640)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(stored)
    late = os.open(path, os.O_WRONLY | os.O_APPEND)
    fcntl.flock(late, fcntl.LOCK_EX)  # as in the middle of a write

    begin_file(path)
    os.write(late, b"late\n")
    os.close(late)
    append(path, Proof(), b"b\n")

    assert stored.read_bytes() == path.read_bytes() == b"a\nb\n"
    assert path.is_symlink() == linked
    assert stored.stat().st_mode & 0o777 == 0o640


def test_a_file_that_nobody_writes_stays_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\n")
    before = path.stat().st_ino
    begin_file(path)
    assert path.stat().st_ino == before
    assert path.read_bytes() == b"a\n"


@pytest.mark.parametrize("opened", ["before", "after"])
def test_a_run_that_believes_that_the_job_is_its_own_does_not_reach_the_file_of_one_that_has_resumed_it(
    tmp_path: Path, opened: str
) -> None:
    """Its last proof still counts: the other run took over in the moment after it."""
    path = tmp_path / "file"
    is_taken_over = False

    async def renew() -> None:
        if is_taken_over:
            raise JobBusyError("taken over")

    async def run() -> None:
        nonlocal is_taken_over
        stale = FencedFile(path, Proof(renew))
        if opened == "before":
            await stale.append(b"a\n")
        else:
            path.write_bytes(b"a\n")
        is_taken_over = True
        begin_file(path, resumed=True)
        try:
            await stale.append(b"late\n")
        except JobBusyError:
            assert opened == "after"
        finally:
            stale.close()

    asyncio.run(run())
    append(path, Proof(), b"b\n")

    assert path.read_bytes() == b"a\nb\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["/dev/full", "missing", "."])
def test_what_is_no_file_is_left_alone(tmp_path: Path, name: str) -> None:
    begin_file(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
