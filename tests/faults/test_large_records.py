"""Records that are longer than the server's own limits allow."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli import Outcome
from tests.faults.helpers import ID_KINDS, assert_only_error, payload, write_lines
from tests.faults.scene import OwnScene, Scene

MIB = 1024 * 1024
LIMITS = pytest.mark.parametrize("setting", ["proto-max-bulk-len", "client-query-buffer-limit"])
BULK, BUFFER = "proto-max-bulk-len", "client-query-buffer-limit"


def _input(scene: Scene, *extra: str, long: int = 1_200_000) -> None:
    """300 records, of which the one in line 101 is long."""
    lines = write_lines(scene.folder / "in.jsonl", (payload(n, long if n == 100 else 60) for n in range(300)))
    scene.input_of([line for line in lines if len(line) < MIB], "in.jsonl", "-b", "50", *extra)


def _rejects(scene: Scene, outcome: Outcome) -> list[dict[str, Any]]:
    text = (scene.folder / str(outcome.report["rejects_file"])).read_text()
    return [json.loads(line) for line in text.splitlines()]


@LIMITS
@ID_KINDS
@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_a_record_that_is_too_long_for_the_server_is_rejected_with_the_servers_limit(
    own_scene: OwnScene, setting: str, extra: tuple[str, ...], layout: str
) -> None:
    scene, _ = own_scene(f"--{setting}", "1mb")
    _input(scene, *extra, "--layout", layout)

    done = scene.load()
    again = scene.load()

    assert f"the server's {setting} allows no more" in done.stderr
    for outcome in (done, again):
        assert outcome.status == 3, outcome.stderr
        assert outcome.report["rejected_by_code"] == {"too_large": 1}
    assert (done.report["loaded"], again.report["already_loaded"]) == (299, 299)
    first, *_ = _rejects(scene, done)
    assert (first["line"], first["code"]) == (101, "too_large")
    assert f"which the server's {setting} allows" in first["reason"]


@LIMITS
@pytest.mark.parametrize("below", [0, 1, 5000, 70_000])
def test_the_longest_record_that_is_not_rejected_is_accepted(own_scene: OwnScene, setting: str, below: int) -> None:
    scene, _ = own_scene(f"--{setting}", "1mb")
    limit = MIB - 4096 - (65_536 if setting == BUFFER else 0)
    around = len(payload(100, 0))
    _input(scene, long=limit - below - around)

    done = scene.load()

    scene.assert_all_in(done)


def test_a_limit_that_was_raised_since_changes_nothing_for_a_job_that_has_begun(own_scene: OwnScene) -> None:
    scene, _ = own_scene(f"--{BULK}", "1mb")
    _input(scene, "--job", "one")

    with scene.halted(2) as running:
        running.kill()
    scene.client.config_set(BULK, 512 * MIB)
    scene.proxy.go_on()
    resumed = scene.load()
    scene.client.config_set(BULK, MIB)
    again = scene.load()

    assert resumed.report["rejected"] == again.report["rejected"] == 1
    assert resumed.report["loaded"] + resumed.report["already_loaded"] == 299
    assert again.report["already_loaded"] == 299


def test_without_such_limits_nothing_is_recorded_or_said(own_scene: OwnScene) -> None:
    scene, _ = own_scene()
    _input(scene)

    done = scene.load("--job", "one")

    assert "allows no more" not in done.stderr
    assert done.report["loaded"] == 300
    assert scene.client.hget("runqy-loader:{one}:job", "record_limit") is None


# --- a server that does not tell its limits ---------------------------------------------------------------------------


@pytest.fixture
def silent(own_scene: OwnScene) -> Any:
    """Makes scenes whose user has no right to CONFIG GET."""

    def make(*options: str) -> Scene:
        scene, _ = own_scene(*options)
        scene.client.execute_command("ACL", "SETUSER", "loader", "on", ">secret", "~*", "&*", "+@all", "-config")
        scene.login = "loader:secret@"
        return scene

    return make


@LIMITS
@ID_KINDS
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_that_refuses_a_long_record_without_having_told_is_understood(
    silent: Any, setting: str, extra: tuple[str, ...], workers: str
) -> None:
    scene = silent(f"--{setting}", "1mb")
    _input(scene, *extra, "-w", workers)

    failed = scene.load("--quiet")
    scene.client.flushall()
    done = scene.load("--max-record-bytes", "900000")

    line = assert_only_error(failed, "in.jsonl:101 (1,2", " bytes)", "--max-record-bytes", BULK, BUFFER)
    assert ("invalid bulk length" in line) == (setting == BULK)
    assert failed.report["error_code"] == "too_large_for_server"
    assert (done.report["loaded"], done.report["rejected"]) == (299, 1)


def test_short_records_are_never_blamed_for_a_connection_that_is_closed(scene: Scene) -> None:
    scene.input(300, "-b", "50", "--retry-for", "3")

    with scene.halted(2) as running:
        for _ in range(8):
            scene.until_halted(running)
            scene.proxy.cut()
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)


def test_a_long_record_is_not_blamed_for_a_network_that_recovers(scene: Scene) -> None:
    _input(scene)
    scene.lines = [payload(n, 1_200_000 if n == 100 else 60) for n in range(300)]

    with scene.halted(2) as running:
        for _ in range(3):
            scene.until_halted(running)
            scene.proxy.cut()
        scene.proxy.go_on()
        done = running.wait()

    scene.assert_all_in(done)
