"""``runqy-loader wait``: what became of tasks, in both layouts. The worker's part is played with plain commands."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import loader
from loader.errors import ResultTimeoutError, SinkError, UsageError
from loader.layouts.task_message import encode
from loader.tasks.options import TaskOptions
from tests.cli import Outcome, command, environment, read_until, run
from tests.conftest import RedisServer, Server
from tests.faults.helpers import HANG, until
from tests.faults.proxy import Link, Proxy, Verdict
from tests.integration.cluster import Cluster
from tests.integration.cluster import cluster as cluster


def wait(server: Server, folder: Path, *arguments: str, stdin: bytes | None = None) -> Outcome:
    return run("wait", "--redis", server.url, "--no-progress", *arguments, cwd=folder, stdin=stdin)


def results(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a results file by id; each id has one."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = {line["id"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def statuses(path: Path) -> dict[str, str]:
    return {task_id: line["status"] for task_id, line in results(path).items()}


def task(client: Any, task_id: str, **fields: str) -> None:
    """A task of the documented layout."""
    given = {"type": "task", "payload": "{}", "retry": "0", "max_retry": "3", "queue": "q.default", **fields}
    client.hset(f"asynq:t:{task_id}", mapping=given)


def asynq_task(client: Any, task_id: str, state: str, *, reverse: bool = False, **fields: str | bytes) -> None:
    client.hset(f"asynq:{{q.default}}:t:{task_id}", mapping={"msg": b"\n\x01t", "state": state, **fields})
    if reverse:
        client.hset(f"asynq:t:{task_id}", "queue", "q.default")


# --- what becomes of tasks -----------------------------------------------------------------------------------------


def test_results_of_a_load_come_in_as_they_stand(server: Server, client: Any, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f"{n}\n" for n in range(3000)))
    run("load", "in.jsonl", "-q", "q", "--redis", server.url, "--ids-out", "ids", cwd=tmp_path)
    ids = [i.decode() for i in client.lrange("asynq:q.default:pending", 0, -1)]
    with client.pipeline(transaction=False) as pipe:
        for number, task_id in enumerate(ids):
            pipe.set(f"asynq:result:{task_id}", b'{"n":\n  %d, "big": 12345678901234567890123}' % number)
        pipe.execute()

    done = wait(server, tmp_path, "--ids", "ids", "--out", "out.jsonl", "--timeout", "60")

    assert done.status == 0, done.stderr
    found = results(tmp_path / "out.jsonl")
    assert {i: line["result"]["n"] for i, line in found.items()} == {i: n for n, i in enumerate(ids)}
    assert '"result":{"n":   7, "big": 12345678901234567890123}' in (tmp_path / "out.jsonl").read_text()
    assert not (tmp_path / "out.jsonl.missing.jsonl").exists()


def test_every_end_of_a_task_is_told_apart_in_the_documented_layout(
    server: Server, client: Any, tmp_path: Path
) -> None:
    client.set("asynq:result:json", "[1]")
    client.set("asynq:result:bytes", b"\xff\x00")
    task(client, "quiet", state="completed")
    task(client, "failed", state="archived", error_msg="no such model")
    task(client, "waiting")
    task(client, "running", state="active")
    lines = ["json", "bytes", "quiet", "failed", "waiting\tq.default", '{"id": "running"}', "nowhere"]
    (tmp_path / "ids").write_text("\n".join(lines) + "\n\n")

    done = wait(server, tmp_path, "--ids", "ids", "--out", "out.jsonl", "--timeout", "0.3")

    assert done.status == 4, done.stderr
    found = results(tmp_path / "out.jsonl")
    assert found["json"] == {"id": "json", "status": "completed", "result": [1]}
    assert base64.b64decode(found["bytes"]["result_base64"]) == b"\xff\x00"
    assert found["quiet"] == {"id": "quiet", "queue": "q.default", "status": "completed"}
    assert (found["failed"]["status"], found["failed"]["error"]) == ("failed", "no such model")
    missing = results(tmp_path / "out.jsonl.missing.jsonl")
    assert {i: (line["status"], line.get("state")) for i, line in missing.items()} == {
        "waiting": ("pending", "stored"),
        "running": ("pending", "active"),
        "nowhere": ("missing", None),
    }
    assert "with 3 not done: see out.jsonl.missing.jsonl" in done.stderr


def test_every_end_of_a_task_is_told_apart_in_the_asynq_layout(server: Server, client: Any, tmp_path: Path) -> None:
    message = encode("t", b"{}", b"in-message", "q.default", TaskOptions()) + b"\x3a\x04boom"  # field 7: error_msg
    asynq_task(client, "done", "completed", result='{"a":1}')
    asynq_task(client, "quiet", "completed")
    asynq_task(client, "in-field", "archived", error_msg="bad input")
    asynq_task(client, "in-message", "archived", msg=message)
    asynq_task(client, "retrying", "retry")
    client.hset("asynq:t:expired", "queue", "q.default")
    (tmp_path / "ids").write_text("done\nquiet\nin-field\nin-message\nretrying\nexpired\nnowhere\n")

    done = wait(
        server, tmp_path, "--ids", "ids", "--out", "out", "--layout", "asynq", "--queue", "q", "--timeout", "0.5"
    )

    assert done.status == 4, done.stderr
    found = results(tmp_path / "out")
    assert found["done"] == {"id": "done", "queue": "q.default", "status": "completed", "result": {"a": 1}}
    assert "result" not in found["quiet"]
    assert (found["in-field"]["error"], found["in-message"]["error"]) == ("bad input", "boom")
    assert statuses(tmp_path / "out") | statuses(tmp_path / "out.missing.jsonl") == {
        "done": "completed", "quiet": "completed", "in-field": "failed", "in-message": "failed", "retrying": "pending",
        "expired": "expired", "nowhere": "missing",
    }  # fmt: skip


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_a_loaded_task_of_which_nothing_is_left_is_expired(
    server: Server, client: Any, tmp_path: Path, layout: str
) -> None:
    (tmp_path / "in.jsonl").write_text("1\n2\n3\n")
    arguments = ("load", "in.jsonl", "-q", "q", "--layout", layout, "--redis", server.url, "--ids-out", "ids")
    loaded = run(*arguments, cwd=tmp_path)
    assert loaded.status == 0, loaded.stderr
    for key in client.keys("asynq:*t:*"):
        client.delete(key)

    done = wait(server, tmp_path, "--ids", "ids", "--out", "out")

    assert done.status == 3, done.stderr
    assert list(statuses(tmp_path / "out").values()) == ["expired"] * 3


def test_the_queue_of_an_id_is_its_own_or_that_of_the_reverse_look_up(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        for name in ("a", "b", "c"):
            asynq_task(client, name, "completed", reverse=name == "c")
    (tmp_path / "ids").write_text('a\tq.default\n{"id":"b","queue":"q.default"}\nc\n')

    done = wait(valkey, tmp_path, "--ids", "ids", "--out", "out", "--layout", "asynq", "--timeout", "5")

    assert done.status == 0, done.stderr
    assert statuses(tmp_path / "out") == dict.fromkeys("abc", "completed")


def test_large_results_come_in_too(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        for number in range(300):
            client.set(f"asynq:result:{number}", json.dumps("x" * 200_000))
    (tmp_path / "ids").write_text("".join(f"{n}\n" for n in range(300)))

    done = wait(valkey, tmp_path, "--ids", "ids", "--out", "out")

    assert done.status == 0, done.stderr
    assert {len(line["result"]) for line in results(tmp_path / "out").values()} == {200_000}


# --- as they come, and again ---------------------------------------------------------------------------------------


def test_results_are_written_as_they_come_and_an_interrupt_leaves_the_rest_for_the_next_run(
    valkey: Server, tmp_path: Path
) -> None:
    (tmp_path / "ids").write_text("a\nb\n")
    out = tmp_path / "out"
    with valkey.client() as client:
        for name in "ab":
            task(client, name)
        waiting = subprocess.Popen(
            command("wait", "--ids", "ids", "--out", "out", "--redis", valkey.url),
            cwd=tmp_path,
            env=environment(),
            stderr=subprocess.PIPE,
        )
        client.set("asynq:result:a", "1")
        until(lambda: out.exists() and out.read_text().endswith("\n"), "the first result")
        waiting.send_signal(signal.SIGINT)
        _, stderr = waiting.communicate()

        assert waiting.returncode == 130
        assert b"interrupted with 1 left" in stderr and b"Traceback" not in stderr
        client.delete("asynq:result:a", "asynq:t:a")  # in the file, so it is not asked for again
        client.set("asynq:result:b", "2")
        done = wait(valkey, tmp_path, "--ids", "ids", "--out", "out")

    assert done.status == 0, done.stderr
    assert {i: line["result"] for i, line in results(out).items()} == {"a": 1, "b": 2}


def test_what_was_missing_at_the_timeout_can_be_waited_for_alone(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("a\nb\nc\n")
    with valkey.client() as client:
        client.set("asynq:result:a", "1")
        task(client, "b")
        first = wait(valkey, tmp_path, "--ids", "ids", "--out", "out", "--timeout", "0", "--missing", "left")
        assert first.status == 4
        client.delete("asynq:t:b")
        client.set("asynq:result:c", "3")

        second = wait(valkey, tmp_path, "--ids", "left", "--out", "out", "--missing", "left")

    assert second.status == 3, second.stderr
    assert statuses(tmp_path / "out") == {"a": "completed", "b": "expired", "c": "completed"}
    assert not (tmp_path / "left").exists()


def test_a_line_that_a_crash_tore_is_mended(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "out").write_text('{"id":"a","status":"completed"}\n{"id":"b","sta')
    with valkey.client() as client:
        client.set("asynq:result:b", "2")

    done = wait(valkey, tmp_path, "--ids", "-", "--out", "out", stdin=b"a\nb\n")

    assert done.status == 0, done.stderr
    assert statuses(tmp_path / "out") == {"a": "completed", "b": "completed"}


def test_an_id_that_is_named_twice_is_waited_for_once(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        client.set("asynq:result:a", "1")

    done = wait(valkey, tmp_path, "--ids", "-", "--out", "-", stdin=b"a\na\n")

    assert (done.status, done.stdout) == (0, '{"id":"a","status":"completed","result":1}\n')


def test_a_link_that_missing_names_stays_one(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("a\n")
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")

    wait(valkey, tmp_path, "--ids", "ids", "--out", "out", "--timeout", "0", "--missing", "link")

    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "real").read_text())["id"] == "a"


def test_on_standard_output_the_missing_follow(valkey: Server, tmp_path: Path) -> None:
    done = wait(valkey, tmp_path, "--ids", "-", "--out", "-", "--timeout", "0", stdin=b"a\n")

    assert (done.status, json.loads(done.stdout)) == (4, {"id": "a", "status": "missing"})


def test_a_lost_connection_is_made_again(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("".join(f"{n}\n" for n in range(2000)))
    with valkey.client() as client:
        for number in range(2000):
            client.set(f"asynq:result:{number}", number)
    cuts = 0

    def rule(link: Link, chunk: bytes) -> Verdict | None:
        nonlocal cuts
        if b"asynq:result:" in chunk and cuts < 3:
            cuts += 1
            return (Verdict.CUT, Verdict.EXECUTE_AND_CUT)[cuts % 2]
        return None

    with Proxy(valkey.port) as proxy:
        proxy.rule = rule
        done = run("wait", "--ids", "ids", "--out", "out", "--redis", proxy.url, cwd=tmp_path)

    assert done.status == 0, done.stderr
    assert cuts == 3
    assert len(results(tmp_path / "out")) == 2000


@pytest.mark.parametrize("layout", ["documented", "asynq"])
def test_the_nodes_of_a_cluster_are_all_asked_also_when_slots_have_moved(
    cluster: Cluster, tmp_path: Path, layout: str
) -> None:
    (tmp_path / "in.jsonl").write_text("".join(f'{{"n":{n},"to":"queue{n % 5}"}}\n' for n in range(500)))
    arguments = ("load", "in.jsonl", "--queue-field", "to", "--layout", layout, "--redis", cluster.url, "--job", "j")
    assert run(*arguments, "--ids-out", "ids", cwd=tmp_path).status == 0
    ids = [line.split("\t") for line in (tmp_path / "ids").read_text().splitlines()[1:]]
    waiting = subprocess.Popen(
        command("wait", "--job", "j", "--out", "out", "--redis", cluster.url),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
    )
    with cluster.client() as client:
        _finish(client, layout, *ids[0])
        until(lambda: (tmp_path / "out").exists(), "the first result")
        first = f"asynq:result:{ids[1][0]}" if layout == "documented" else f"asynq:{{{ids[1][1]}}}:t:x"
        owner = cluster.owner(first)
        cluster.move(first, next(node for node in cluster.nodes if node != owner))
        for task_id, queue in ids[1:]:
            _finish(client, layout, task_id, queue)
        _, stderr = waiting.communicate()

    assert waiting.returncode == 0, stderr
    assert statuses(tmp_path / "out") == {task_id: "completed" for task_id, _ in ids}


def _finish(client: Any, layout: str, task_id: str, queue: str) -> None:
    if layout == "documented":
        client.set(f"asynq:result:{task_id}", "1")
    else:
        client.hset(f"asynq:{{{queue}}}:t:{task_id}", mapping={"state": "completed", "result": "1"})


# --- jobs ----------------------------------------------------------------------------------------------------------


def test_a_job_is_waited_for_by_its_name(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("1\n2\n")
    arguments = ("load", "in.jsonl", "-q", "q", "--layout", "asynq", "--redis", valkey.url, "--job", "j")
    run(*arguments, cwd=tmp_path)
    without = wait(valkey, tmp_path, "--job", "j", "--out", "out")
    run(*arguments, "--ids-out", "ids", cwd=tmp_path)
    with valkey.client() as client:
        for key in client.keys("asynq:{q.default}:t:*"):
            client.hset(key, mapping={"state": "completed", "result": "{}"})

    done = wait(valkey, tmp_path, "--job", "j", "--out", "out")

    assert without.status == 1
    assert "Run its load again with --ids-out FILE" in without.stderr
    assert done.status == 0, done.stderr
    assert list(statuses(tmp_path / "out").values()) == ["completed"] * 2


def test_a_job_that_is_not_there_is_named(valkey: Server, tmp_path: Path) -> None:
    done = wait(valkey, tmp_path, "--job", "j", "--out", "out")

    assert done.status == 1
    assert "there is no job j on" in done.stderr


# --- usage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--out", "o"), "give --ids FILE or --job NAME"),
        (("--ids", "ids"), "no --out given"),
        (("--ids", "ids", "--job", "j", "--out", "o"), "one of them"),
        (("--ids", "ids", "--out", "o", "--timeout", "soon"), "'soon' is no duration"),
        (("--ids", "ids", "--out", "o", "--timeout", "-1"), "must not be negative"),
        (("--ids", "ids", "--out", "ids"), "--ids and --out name the same file"),
        (("--ids", "ids", "--out", "other"), "this is no result of a task"),
        (("--ids", "ids", "--out", "o", "--queue", "a.b.c"), "more than one dot"),
    ],
)
def test_wrong_usage_is_refused(valkey: Server, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    (tmp_path / "ids").write_text("a\nb")
    (tmp_path / "other").write_text("a\n")

    done = wait(valkey, tmp_path, *arguments)

    assert done.status == 2, done.stderr
    assert words in done.stderr
    assert (tmp_path / "ids").read_text() == "a\nb"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\n{}\n", "ids:2: the object has no field 'id'"),
        (b"a\n\x01\n", "ids:2: the task id holds a control character"),
        (b"\xff\n", "ids:1:"),
        (b'{"id":\n', "ids:1:"),
    ],
)
def test_a_line_that_is_no_id_is_named(valkey: Server, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "ids").write_bytes(content)

    done = wait(valkey, tmp_path, "--ids", "ids", "--out", "out")

    assert done.status == 1
    assert words in done.stderr and "Traceback" not in done.stderr


def test_the_timeout_of_a_load_is_not_that_of_a_wait(valkey: Server, tmp_path: Path) -> None:
    arguments = ("wait", "--ids", "-", "--out", "-", "--redis", valkey.url, "--no-progress")
    variables = {"RUNQY_LOADER_TIMEOUT": "30", "RUNQY_LOADER_WAIT_TIMEOUT": "0"}

    done = run(*arguments, cwd=tmp_path, stdin=b"a\n", env=variables)

    assert done.status == 4


# --- from Python ---------------------------------------------------------------------------------------------------


def test_results_can_be_iterated_over(valkey: Server) -> None:
    with valkey.client() as client:
        for number in range(1500):
            client.set(f"asynq:result:{number}", number)
        task(client, "slow")

    async def collect() -> list[loader.TaskResult]:
        tasks = (str(n) for n in range(1500))
        found = [r async for r in loader.wait_for_results(tasks, redis=valkey.url)]
        return found + [r async for r in loader.wait_for_results(["slow", "nowhere"], redis=valkey.url, timeout=0)]

    *found, first, second = asyncio.run(collect())

    assert {(r.id, r.status, r.value) for r in found} == {(str(n), "completed", n) for n in range(1500)}
    assert {first.id: first.status, second.id: second.status} == {"slow": "pending", "nowhere": "missing"}


def test_results_go_into_a_pipe_as_well(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        client.set("asynq:result:a", "1")
    (tmp_path / "ids").write_text("a\n")
    os.mkfifo(tmp_path / "out")
    with subprocess.Popen(["cat", tmp_path / "out"], stdout=subprocess.PIPE, text=True) as reader:
        done = wait(valkey, tmp_path, "--ids", "ids", "--out", "out", "--timeout", "60")
        if done.status:
            reader.kill()
        said, _ = reader.communicate(timeout=HANG)

    assert done.status == 0, done
    assert json.loads(said) == {"id": "a", "status": "completed", "result": 1}


@pytest.mark.parametrize("is_silent_at_once", [True, False])
def test_the_timeout_holds_for_a_server_that_does_not_answer(
    redis_server: Callable[..., RedisServer], is_silent_at_once: bool
) -> None:
    own = redis_server()
    url = own.start().url
    with own.client() as client:
        task(client, "a")
    assert own.process is not None
    process = own.process

    async def waited() -> None:
        if is_silent_at_once:
            process.send_signal(signal.SIGSTOP)
        else:
            asyncio.get_running_loop().call_later(1.0, process.send_signal, signal.SIGSTOP)
        async with asyncio.timeout(HANG):
            await loader.wait_for_result("a", redis=url, timeout=2, reply_timeout=3600, retry_for=3600)

    try:
        with pytest.raises(SinkError, match="did not answer until the time of timeout= was over"):
            asyncio.run(waited())
    finally:
        process.send_signal(signal.SIGCONT)


def test_one_result_is_waited_for(valkey: Server) -> None:
    with valkey.client() as client:
        asynq_task(client, "a", "completed", result="[1]")
        asynq_task(client, "b", "active")

    async def one(task_id: str) -> loader.TaskResult:
        return await loader.wait_for_result(
            (task_id, "q"), redis=valkey.url, layout="asynq", timeout=0.2, loaded=task_id == "gone"
        )

    assert asyncio.run(one("a")).value == [1]
    assert asyncio.run(one("gone")).status == "expired"
    with pytest.raises(ResultTimeoutError, match="task b is not done after"):
        asyncio.run(one("b"))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: loader.wait_for_results("abc"), TypeError),
        (lambda: loader.wait_for_results(["abc"], timeout=-1), UsageError),
    ],
)
def test_wrong_calls_are_refused_at_once(call: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_a_signal_before_all_ids_are_read_is_no_success(valkey: Server, tmp_path: Path) -> None:
    with subprocess.Popen(
        command("wait", "--redis", valkey.url, "--ids", "-", "--out", "r.jsonl"),
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as waiting:
        assert waiting.stdin is not None and waiting.stderr is not None
        # More than a pipe holds, so it is reading by now; and it reads on for as long as the pipe is open.
        for n in range(20_000):
            waiting.stdin.write(b"id-%d\n" % n)
        waiting.stdin.flush()
        waiting.send_signal(signal.SIGTERM)
        said = read_until(waiting.stderr.fileno(), "stopping")
        waiting.stdin.close()
        said += waiting.stderr.read()

        assert waiting.wait(60) == 130, said
    assert b"stopping" in said
    assert not (tmp_path / "r.jsonl.missing.jsonl").exists()


def test_the_layout_of_ids_from_standard_input_is_that_of_their_first_line(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        asynq_task(client, "a", "completed", result="1")
    ids = b"# runqy-loader ids: job=j layout=asynq\na\tq.default\n"

    done = wait(valkey, tmp_path, "--ids", "-", "--out", "r.jsonl", "--timeout", "5", stdin=ids)

    assert (done.status, statuses(tmp_path / "r.jsonl")) == (0, {"a": "completed"}), done


def test_loaded_ids_without_a_layout_are_not_looked_for_in_the_wrong_one(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("# runqy-loader ids: job=j\na\tq.default\n")

    done = wait(valkey, tmp_path, "--ids", "ids", "--out", "r.jsonl", "--timeout", "5")

    assert done.status == 2 and "Use --layout asynq" in done.stderr, done
    assert not (tmp_path / "r.jsonl").exists()


@pytest.mark.parametrize("layout", ["documented", "asynq"])
@pytest.mark.parametrize("header", ["", "# runqy-loader ids: job=j\n"], ids=["ids", "loaded over HTTP"])
def test_keys_of_the_tasks_tell_the_layout_that_nothing_names(
    valkey: Server, tmp_path: Path, layout: str, header: str
) -> None:
    with valkey.client() as client:
        if layout == "documented":
            client.set("asynq:result:a", "1")
        else:
            asynq_task(client, "a", "completed", result="1")
    (tmp_path / "ids").write_text(f"{header}a\tq.default\n")

    done = wait(valkey, tmp_path, "--ids", "ids", "--out", "r.jsonl", "--timeout", "5")

    assert (done.status, statuses(tmp_path / "r.jsonl")) == (0, {"a": "completed"}), done
    assert f"layout {layout}" in done.stderr


def test_the_layout_is_found_when_the_first_task_comes(valkey: Server, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("a\tq.default\n")
    out = tmp_path / "r.jsonl"
    arguments = command("wait", "--ids", "ids", "--out", "r.jsonl", "--redis", valkey.url, "--timeout", "60")

    with valkey.client() as client:
        client.config_resetstat()
    with subprocess.Popen(arguments, cwd=tmp_path, env=environment()) as waiting, valkey.client() as client:
        until(lambda: "cmdstat_exists" in client.info("commandstats"), "it has looked for the task, in vain")
        asynq_task(client, "a", "completed", result="1")
        assert waiting.wait(60) == 0

    assert statuses(out) == {"a": "completed"}


def test_tasks_of_both_layouts_are_refused(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        client.set("asynq:result:a", "1")
        asynq_task(client, "b", "completed", result="1")
    (tmp_path / "ids").write_text("a\tq.default\nb\tq.default\n")

    done = wait(valkey, tmp_path, "--ids", "ids", "--out", "r.jsonl", "--timeout", "5")

    assert done.status == 2 and "Give --layout documented or --layout asynq" in done.stderr, done


def test_what_the_reverse_look_up_tells_goes_before_the_queue_of_the_options(valkey: Server, tmp_path: Path) -> None:
    with valkey.client() as client:
        asynq_task(client, "a", "completed", reverse=True, result="1")
    (tmp_path / "ids").write_text("a\n")

    shared = ("--layout", "asynq", "--queue", "other", "--timeout", "5")
    done = wait(valkey, tmp_path, "--ids", "ids", "--out", "r.jsonl", *shared)

    assert (done.status, statuses(tmp_path / "r.jsonl")) == (0, {"a": "completed"}), done
