"""The disk is full under a file that a run writes: one line names the file, and once there is room nothing is lost."""

from __future__ import annotations

import gzip
import hashlib
import json
import py_compile
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import loader
from tests.cli import Outcome, command, environment, run
from tests.faults.disks import PAGE, Disk, small_disk
from tests.faults.helpers import (
    Load,
    assert_one_error,
    assert_only_error,
    payload,
    rejected_lines,
    tasks,
    write_lines,
)
from tests.faults.scene import QUEUE, OwnScene, Scene
from tests.gateway.conftest import Start, queues_file, start
from tests.gateway.helpers import KEY
from tests.integration.stored import numbered, push, stored

__all__ = ["queues_file", "start"]

COUNT = 4000
FULL = "No space left on device"
ROOM = pytest.mark.parametrize("room", [0, PAGE], ids=["none", "a little"])
ZIPPED = pytest.mark.parametrize("ending", ["", ".gz"], ids=["plain", "gzip"])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk") as found:
        yield found


def content(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- load -------------------------------------------------------------------------------------------------------------


@ROOM
@ZIPPED
def test_rejects(scene: Scene, disk: Disk, ending: str, room: int) -> None:
    lines = [payload(n) if n % 4 else b"bad %d %s" % (n, b"\xc3\xa9" * 30) for n in range(1200)]
    write_lines(scene.folder / "in.jsonl", lines)
    name = f"disk/rejects.jsonl{ending}"
    scene.input_of(
        [line for line in lines if line[:1] == b"{"], "in.jsonl", "-b", "20", "--max-errors", "none", "--job", "j",
        "--rejects", name,
    )  # fmt: skip
    disk.fill(but=room)

    failed = scene.load("--quiet")
    disk.free()
    done = scene.load()

    assert_one_error(failed, f"the rejects file {name} cannot be written: {FULL}", "Make room there", "--rejects")
    scene.assert_all_in(done, rejected=300)
    whole = scene.folder / "whole.jsonl"
    whole.write_bytes(content(scene.folder / name))
    assert sorted(line for _, line in rejected_lines(whole)) == list(range(1, 1200, 4))


@ROOM
@ZIPPED
def test_the_ids_file(scene: Scene, disk: Disk, ending: str, room: int) -> None:
    name = f"disk/ids.tsv{ending}"
    scene.input(COUNT, "-b", "20", "--job", "j", "--ids-out", name)
    disk.fill(but=room)

    failed = scene.load("--quiet")
    disk.free()
    done = scene.load()

    assert_one_error(failed, f"the ids file {name} cannot be written: {FULL}", "run the same command again")
    scene.assert_all_in(done)
    ids = content(scene.folder / name).decode().splitlines()[1:]
    assert sorted(ids) == sorted(f"{task_id}\t{QUEUE}" for task_id, _ in tasks(scene.client)[QUEUE])


@ZIPPED
def test_the_report(scene: Scene, disk: Disk, ending: str) -> None:
    name = f"disk/report.json{ending}"
    scene.input(100, "--job", "j")
    arguments = ("in.jsonl", "-q", "q", "--redis", scene.server.url, "--job", "j", "--report", name, "--quiet")
    (scene.folder / name).write_bytes(b"")
    disk.fill()

    failed = run("load", *arguments, cwd=scene.folder)
    left = (scene.folder / name).read_bytes()
    disk.free()
    done = run("load", *arguments, cwd=scene.folder)

    assert_only_error(failed, f"--report {name} cannot be written: {FULL}", "Everything else is done")
    assert left == b""
    assert done.status == 0, done.stderr
    assert json.loads(content(scene.folder / name))["already_loaded"] == 100
    scene.assert_all_in()


def test_standard_output(scene: Scene, disk: Disk) -> None:
    scene.input(100, "--job", "j")
    arguments = ("in.jsonl", "-q", "q", "--redis", scene.server.url, "--job", "j", "--report", "-", "--quiet")
    disk.fill()
    with (disk.folder / "out").open("wb") as out:
        done = subprocess.run(
            command("load", *arguments), cwd=scene.folder, env=environment(), stdout=out, stderr=subprocess.PIPE,
            check=False,
        )  # fmt: skip

    assert_only_error(Outcome(done.returncode, "", done.stderr.decode()), "cannot be written", FULL)
    scene.assert_all_in(scene.load())


@pytest.mark.parametrize("room", [0, 16 * PAGE, 24 * PAGE], ids=["none", "a little", "more"])
def test_the_journal_of_a_load_over_http(scene: Scene, disk: Disk, start: Start, room: int) -> None:
    gateway = start(scene.server.url)
    scene.input(COUNT)
    arguments = (
        "in.jsonl", "-q", "simple", "--to", gateway.url, "--api-key-env", "KEY", "-b", "10", "--journal",
        "disk/j.journal", "--job", "j", "--ids-out", "ids.tsv", "--report", "-",
    )  # fmt: skip
    disk.fill(but=room)

    with Load(*arguments, "--quiet", cwd=scene.folder, env={"KEY": KEY}) as running:
        failed = running.wait()
    disk.free()
    with Load(*arguments, cwd=scene.folder, env={"KEY": KEY}) as running:
        done = running.wait()

    hint = "run the same command again, with the same --journal" if room else "--journal"
    assert_one_error(failed, "the journal disk/j.journal cannot be written", hint)
    assert done.status == 0, done.stderr
    times = Counter(fields[b"payload"] for _, fields in tasks(scene.client)["simple.default"])
    assert set(times) == set(scene.lines)
    # An answer that finds no room in the journal is as good as lost: its batch is sent again, and the report names it.
    told = {n for one in done.report["in_doubt"] for n in range(one["first"]["line"], one["last"]["line"] + 1)}
    assert {json.loads(data)["n"] + 1 for data, count in times.items() if count > 1} <= told
    assert len(told) < COUNT / 10


def test_the_folder_of_the_embedded_server(tmp_path: Path, disk: Disk) -> None:
    write_lines(tmp_path / "in.jsonl", [payload(n) for n in range(COUNT)])
    arguments = ("in.jsonl", "-q", "q", "--redis", "embedded", "--embedded-dir", disk.folder / "data", "--report", "-")
    disk.fill(but=16 * PAGE)

    failed = run("load", *arguments, "--quiet", "--retry-for", "1", cwd=tmp_path)
    disk.free()
    done = run("load", *arguments, cwd=tmp_path)

    assert failed.status == 1 and len(failed.stderr.splitlines()) == 1, failed.stderr
    assert done.status == 0, done.stderr
    assert done.report["loaded"] + done.report["already_loaded"] == COUNT


def test_a_module_that_python_compiled_on_a_full_disk_is_told(tmp_path: Path) -> None:
    """CPython keeps what was written of it, so each later start meets it."""
    shutil.copytree(Path(loader.__file__).parent, tmp_path / "loader", ignore=shutil.ignore_patterns("__pycache__"))
    module = tmp_path / "loader/sources/explain.py"  # imported for the first bad record
    compiled = Path(py_compile.compile(str(module), doraise=True) or "")
    compiled.write_bytes(compiled.read_bytes()[:2000])
    (tmp_path / "in.jsonl").write_text("bad\n")
    arguments = ("load", "in.jsonl", "-q", "q", "--redis", "discard", "--quiet")

    failed = run(*arguments, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    compiled.unlink()
    done = run(*arguments, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)})

    assert_only_error(failed, "a file of Python's ends too early: marshal data too short", "__pycache__")
    assert done.status == 3, done.stderr


# --- the server's own disk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fsync", ["always", "everysec"])
def test_the_append_only_file_of_the_server(disk: Disk, own_scene: OwnScene, fsync: str) -> None:
    """With ``always``, Redis ends itself; with ``everysec``, it refuses writes. Both are waited for, or resumed."""
    scene, server = own_scene("--appendonly", "yes", "--appendfsync", fsync, "--dir", str(disk.folder))
    scene.input(COUNT, "-b", "20", "--retry-for", "1", "--job", "j")
    disk.fill(but=64 * PAGE)

    failed = scene.load("--quiet")
    disk.free()
    server.stop()
    server.start()
    left = scene.pending
    done = scene.load()

    assert failed.status == 1, failed.stderr
    assert len(failed.stderr.splitlines()) == 1, failed.stderr
    assert left < COUNT
    if fsync == "always":
        assert failed.report["loaded"] <= left  # otherwise, the last second may be lost, and is loaded again
    scene.assert_all_in(done)


@pytest.mark.parametrize(("count", "level"), [(1_000, "ok"), (5_000_000, "warning")])
def test_doctor_warns_of_a_disk_that_a_load_would_fill(
    tmp_path: Path, own_scene: OwnScene, count: int, level: str
) -> None:
    (tmp_path / "in.jsonl").write_bytes(b"{}\n" * count)
    with small_disk(tmp_path / "large", "1100m") as large:
        scene, server = own_scene("--appendonly", "yes", "--dir", str(large.folder))
        done = run("doctor", "in.jsonl", "-q", QUEUE, "--redis", scene.server.url, "--json", cwd=tmp_path)
        found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}["disk"]
        server.stop()

    assert found["level"] == level, found
    assert ("with the tasks of this load its files may need" in found["text"]) == (level == "warning")


# --- the other commands -----------------------------------------------------------------------------------------------


@ROOM
@ZIPPED
@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_an_export(scene: Scene, disk: Disk, layout: str, ending: str, room: int) -> None:
    push(
        scene.client,
        layout,
        QUEUE,
        [(f"t{n:05}", b'{"n":%d,"x":"%s"}' % (n, b"%032x" % (n * 7919**8))) for n in range(COUNT)],
    )
    name = f"disk/out.jsonl{ending}"
    arguments = (
        "export",
        "-q",
        "q",
        "--redis",
        scene.server.url,
        "--layout",
        layout,
        "--format",
        "payload",
        "-o",
        name,
    )
    disk.fill(but=room)

    failed = run(*arguments, "--quiet", cwd=scene.folder)
    left = names(disk.folder)
    disk.free()
    done = run(*arguments, cwd=scene.folder)

    assert_only_error(failed, f"--output {name} cannot be written: {FULL}", "Make room there")
    assert left == ["ballast"]
    assert done.status == 0, done.stderr
    assert len(content(scene.folder / name).splitlines()) == COUNT


@pytest.mark.parametrize("verb", ["export", "migrate"])
def test_the_folder_for_temporary_files(scene: Scene, disk: Disk, verb: str) -> None:
    """Where there is no room at all, Python takes another folder."""
    push(scene.client, "documented", QUEUE, numbered(COUNT))
    url = scene.server.url
    arguments = (
        ("export", "-q", "q", "--redis", url, "--layout", "documented", "-o", "out.jsonl")
        if verb == "export"
        else ("migrate", "--from-redis", url, "--to-redis", url, "--from-queue", "q", "--to-queue", "r", "--job", "j",
              "--from-layout", "documented", "--to-layout", "asynq")
    )  # fmt: skip
    disk.fill(but=PAGE)

    failed = run(*arguments, "--quiet", cwd=scene.folder, env={"TMPDIR": str(disk.folder)})
    disk.free()
    done = run(*arguments, cwd=scene.folder, env={"TMPDIR": str(disk.folder)})

    assert_only_error(failed, f"ids cannot be set aside in {disk.folder}: {FULL}", "Make room there", "TMPDIR")
    assert done.status == 0, done.stderr
    if verb == "export":
        assert len((scene.folder / "out.jsonl").read_text().splitlines()) == COUNT
    else:
        assert [task_id for task_id, _ in stored(scene.client, "asynq", "r.default")] == [i for i, _ in numbered(COUNT)]


@ROOM
@ZIPPED
@pytest.mark.parametrize("move", [(), ("--move",)], ids=["copy", "move"])
def test_the_rejects_of_a_migration(scene: Scene, disk: Disk, ending: str, move: tuple[str, ...], room: int) -> None:
    good = numbered(400)
    push(scene.client, "documented", QUEUE, good)
    bad = [hashlib.sha256(b"%d" % n).hexdigest() for n in range(400)]
    for task_id in bad:
        scene.client.hset(f"asynq:t:{task_id}", mapping={"payload": "1", "max_retry": "many"})
        scene.client.lpush(f"asynq:{QUEUE}:pending", task_id)
    name, url = f"disk/rejects.jsonl{ending}", scene.server.url
    arguments = (
        "migrate", *move, "--from-redis", url, "--to-redis", url, "--from-queue", "q", "--to-queue", "r", "--job", "j",
        "--from-layout", "documented", "--to-layout", "asynq", "--rejects", name, "-b", "50", "--report", "-",
    )  # fmt: skip
    disk.fill(but=room)

    failed = run(*arguments, "--quiet", cwd=scene.folder)
    disk.free()
    done = run(*arguments, cwd=scene.folder)

    assert_one_error(failed, f"the rejects file {name} cannot be written: {FULL}", "Make room there", "--rejects")
    assert done.status == 3, done.stderr
    assert [task_id for task_id, _ in stored(scene.client, "asynq", "r.default")] == [task_id for task_id, _ in good]
    rejected = [json.loads(line)["id"] for line in content(scene.folder / name).splitlines()]
    assert sorted(rejected) == sorted(bad)


@ROOM
@ZIPPED
def test_the_differences_that_verify_finds(scene: Scene, disk: Disk, ending: str, room: int) -> None:
    scene.input(COUNT, "--job", "j")
    assert scene.load().status == 0
    scene.client.flushall()
    scene.load("--again")
    for key in list(scene.hashes):
        scene.client.hset(key, "payload", "changed")
    name = f"disk/differences.jsonl{ending}"
    arguments = ("verify", "in.jsonl", "-q", "q", "--redis", scene.server.url, "--job", "j", "--differences", name)
    disk.fill(but=room)

    failed = run(*arguments, "--quiet", cwd=scene.folder)
    left = names(disk.folder)
    disk.free()
    done = run(*arguments, cwd=scene.folder)

    assert_only_error(failed, f"--differences {name} cannot be written: {FULL}", "Make room there")
    assert left == ["ballast"]
    assert done.status == 3, done.stderr
    assert len(content(scene.folder / name).splitlines()) == COUNT


@ROOM
@ZIPPED
@pytest.mark.parametrize("option", ["--out", "--missing"])
def test_the_results_of_tasks(scene: Scene, disk: Disk, option: str, ending: str, room: int) -> None:
    scene.input(COUNT, "--layout", "asynq", "--job", "j", "--ids-out", "ids.tsv")
    assert scene.load().status == 0
    ids = [line.split("\t")[0] for line in (scene.folder / "ids.tsv").read_text().splitlines()[1:]]
    if option == "--out":
        pipe = scene.client.pipeline(transaction=False)
        for task_id in ids:
            pipe.hset(f"asynq:{{{QUEUE}}}:t:{task_id}", mapping={"state": "completed", "result": f'"{task_id * 3}"'})
        pipe.execute()
    name = f"disk/file.jsonl{ending}"
    own = ("--out", name) if option == "--out" else ("--out", "out.jsonl", "--missing", name)
    arguments = ("wait", "--ids", "ids.tsv", "--redis", scene.server.url, "--timeout", "0", *own)
    disk.fill(but=room)

    failed = run(*arguments, "--quiet", cwd=scene.folder)
    left = names(disk.folder)
    disk.free()
    done = run(*arguments, cwd=scene.folder)

    assert_only_error(failed, f"{option} {name} cannot be written: {FULL}")
    assert left == (["ballast", Path(name).name] if option == "--out" else ["ballast"])
    assert done.status == (0 if option == "--out" else 4), done.stderr
    found = [json.loads(line)["id"] for line in content(scene.folder / name).splitlines()]
    assert sorted(found) == sorted(ids)
