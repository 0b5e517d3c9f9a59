"""A folder for one file a shard, as driver and workers use it."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from pathlib import Path

import pytest

from loader.engine.dask.shard_folders import Folder, folders_ready
from loader.errors import UsageError


def test_a_worker_writes_where_it_sees_the_marker_of_the_driver(tmp_path: Path) -> None:
    async def scenario() -> None:
        place = f"{tmp_path}/new/folder/"
        async with folders_ready([place], "j", "token"):
            folder = Folder(place, "j", "token", "p1")
            await folder.prove()
            await folder.put("j-000000.rejects.jsonl", b"1\n", replace=True)
            assert stat.S_IMODE((tmp_path / "new/folder/j-000000.rejects.jsonl").stat().st_mode) == 0o600
        assert {path.name: path.read_bytes() for path in (tmp_path / "new" / "folder").iterdir()} == {
            "j-000000.rejects.jsonl": b"1\n"
        }

    asyncio.run(scenario())


def test_a_folder_of_the_same_name_on_another_disk_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        own = tmp_path / "own"
        own.mkdir()
        with pytest.raises(FileNotFoundError, match="not the folder that the driver of the load has"):
            await Folder(f"{own}/", "j", "token", "p1").prove()
        with pytest.raises(FileNotFoundError):
            await Folder(f"{tmp_path}/nowhere/", "j", "token", "p1").prove()
        assert not (tmp_path / "nowhere").exists()

    asyncio.run(scenario())


def test_what_killed_workers_have_left_is_removed(tmp_path: Path) -> None:
    async def scenario() -> None:
        left = tmp_path / ".j-000003.rejects.jsonl.abc.part"
        other = tmp_path / ".j-x-000003.rejects.jsonl.abc.part"  # of job j-x, which is loaded at the same time
        for path in (left, other):
            path.write_bytes(b"half a ")
        async with folders_ready([f"{tmp_path}/"], "j", "token"):
            assert not left.exists()
            left.write_bytes(b"half a ")
        assert [path.name for path in tmp_path.iterdir()] == [other.name]

    asyncio.run(scenario())


def test_a_run_that_ends_early_replaces_no_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = Folder(f"{tmp_path}/", "j", "token", "p1")
        await folder.put("f", b"early\n", replace=False)
        assert (tmp_path / "f").read_bytes() == b"early\n"
        await folder.put("f", b"early\nwhole\n", replace=True)
        await folder.put("f", b"late\n", replace=False)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f": b"early\nwhole\n"}

    asyncio.run(scenario())


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        def no_links(*arguments: object) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
        await Folder(f"{tmp_path}/", "j", "token", "p1").put("f", b"early\n", replace=False)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f": b"early\n"}

    asyncio.run(scenario())


def test_a_folder_that_the_driver_cannot_make(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(UsageError, match="file/x cannot be written: Not a directory"):
            async with folders_ready([f"{tmp_path}/file/x/"], "j", "token"):
                pytest.fail("there is no such folder")

    asyncio.run(scenario())


def test_a_driver_that_was_taken_over_leaves_the_folder_to_the_next_one(tmp_path: Path) -> None:
    part = tmp_path / ".j-000003.task-ids.tsv.abc.part"

    async def scenario() -> None:
        async with folders_ready([f"{tmp_path}/"], "j", "next"):
            async with folders_ready([f"{tmp_path}/"], "j", "token"):
                (tmp_path / ".runqy-loader-j").write_text("next")
                part.write_bytes(b"half a ")
            assert part.exists()
            await Folder(f"{tmp_path}/", "j", "next", "p1").prove()
        assert not list(tmp_path.iterdir())

    asyncio.run(scenario())
