"""A job is its content and where it goes: nothing else may load a record a second time."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli import run
from tests.conftest import Server
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, rejects

LINES = [b'{"n":%d}\n' % n for n in range(5000)]


@pytest.fixture
def target(server: Server) -> Server:
    """Each kind of server in turn."""
    return server


def numbers(db: Redis) -> list[int]:
    return sorted(json.loads(payload)["n"] for payload in payloads(db, "q.default"))


def forget_half(db: Redis, job: str) -> None:
    """Makes it as if the run of a job had been killed after half of its batches."""
    (key,) = [key for key in db.keys("*:batches") if job.encode() in key]
    total = db.bitcount(key)
    for batch in range(total // 2, total):
        db.setbit(key, batch, 0)
    ids = db.lrange("asynq:q.default:pending", 0, -1)
    kept = len(ids) * (total // 2) // total
    db.ltrim("asynq:q.default:pending", len(ids) - kept, -1)
    db.hset(f"runqy-loader:{{{job}}}:job", "state", "loading")


TUNINGS: dict[str, tuple[str, ...]] = {
    "batch size": ("-b", "2000"),
    "smaller batches": ("-b", "7"),
    "retries": ("--max-retry", "9"),
    "type": ("--type", "other"),
    "processes": ("-p", "2", "-w", "3"),
    "record limit": ("--max-record-bytes", "900"),
    "an error limit": ("--max-errors", "5"),
}


@pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)
def test_a_run_with_other_tuning_goes_on_where_the_first_one_stopped(
    tool: Tool, db: Redis, tuning: tuple[str, ...]
) -> None:
    tool.write("m.jsonl", b"".join(LINES))
    first = tool.load("m.jsonl", "-q", "q", "-b", "100", "-w", "1")
    assert_fine(first)
    forget_half(db, first.report["job"])

    second = tool.load("m.jsonl", "-q", "q", *tuning)

    assert_fine(second)
    assert counts(second) == (5000, 2500, 2500, 0)
    assert second.report["job"] == first.report["job"]
    assert numbers(db) == list(range(5000))


def test_options_that_accept_other_records_of_a_batch_that_is_in_are_refused(tool: Tool, db: Redis) -> None:
    """What was rejected would count as loaded."""
    tool.write("in.jsonl", '{"payload":1}\n{"payload":2,"process_in":"1h"}\n{"payload":3}\n')
    arguments = ("in.jsonl", "-q", "q", "--envelope", "--layout", "asynq")
    assert_fine(tool.load(*arguments), 3)

    refused = tool.load(*arguments, "--force-schedule")
    again = tool.load(*arguments)

    assert_error(refused, 1, "in.jsonl:1", "are not the ones that job", "options that accept the same records")
    assert_fine(again, 3)
    assert counts(again) == (3, 0, 2, 1)
    assert db.llen("asynq:{q.default}:pending") == 2


def test_options_of_tasks_apply_to_what_is_not_in_yet_and_one_line_says_so(tool: Tool, db: Redis) -> None:
    tool.write("m.jsonl", b"".join(LINES))
    forget_half(db, tool.load("m.jsonl", "-q", "q", "-b", "100", "-w", "1").report["job"])

    said = run(
        *("load", "m.jsonl", "-q", "q", "-b", "50", "--max-retry", "9", "--redis", tool.url, "--no-progress"),
        cwd=tool.folder,
    )

    assert said.status == 0
    assert "goes on with --batch-size 100, as it began" in said.stderr
    assert "tasks that are not in yet get --max-retry 9, those before have 3" in said.stderr
    retries = [int(db.hget(f"asynq:t:{i.decode()}", "max_retry")) for i in db.lrange("asynq:q.default:pending", 0, -1)]
    assert (retries.count(3), retries.count(9)) == (2500, 2500)


def test_hashes_that_a_killed_run_left_do_not_keep_their_records_out(tool: Tool, db: Redis) -> None:
    """They were written but never pushed. A resume with a start time places its tasks with a script, which looks."""
    tool.write("m.jsonl", b"".join(LINES))
    asynq = ("-q", "q", "--layout", "asynq")
    first = tool.load("m.jsonl", *asynq, "-b", "100", "-w", "1")
    (key,) = db.keys("*:batches")
    for batch in range(25, 50):
        db.setbit(key, batch, 0)
    db.ltrim("asynq:{q.default}:pending", 2500, -1)
    db.hset(f"runqy-loader:{{{first.report['job']}}}:job", "state", "loading")

    second = tool.load("m.jsonl", *asynq, "--process-in", "1h", "--force-schedule")

    assert_fine(second)
    assert counts(second) == (5000, 2500, 2500, 0)
    assert second.report["job"] == first.report["job"]
    assert (db.llen("asynq:{q.default}:pending"), db.zcard("asynq:{q.default}:scheduled")) == (2500, 2500)


@pytest.mark.parametrize("kind", ["renamed", "copied", "with an empty file", "in a folder", "under another ending"])
def test_the_same_content_elsewhere_is_the_same_job(tool: Tool, db: Redis, kind: str) -> None:
    source = tool.write("m.jsonl", b"".join(LINES))
    assert_fine(tool.load("m.jsonl", "-q", "q"))
    names = ["m.jsonl"]
    if kind == "renamed":
        names = [source.rename(tool.folder / "a-moved.jsonl").name]
    elif kind == "copied":
        names = [tool.write("copy.jsonl", b"".join(LINES)).name]
    elif kind == "with an empty file":
        names = [tool.write("0.jsonl", b"").name, "m.jsonl", tool.write("z.jsonl", b"").name]
    elif kind == "in a folder":
        tool.write("folder/deep/x.jsonl", b"".join(LINES))
        names = ["folder"]
    else:
        names = [source.rename(tool.folder / "m.ndjson").name]

    again = tool.load(*names, "-q", "q")

    assert_fine(again)
    assert counts(again) == (5000, 0, 5000, 0)
    assert numbers(db) == list(range(5000))


def test_of_a_file_whose_records_name_their_queues_no_queue_is_told(tool: Tool) -> None:
    tool.write("a.jsonl", b'{"payload":1,"queue":"r"}\n')
    assert_fine(tool.load("a.jsonl", "--envelope", "--job", "first"))

    refused = tool.load("a.jsonl", "--envelope", "-q", "q")

    assert_error(refused, 1, "a.jsonl is on ", " already: job first has loaded it")


def test_files_in_another_order_are_the_same_job(tool: Tool, db: Redis) -> None:
    """As after renaming one of them, or by a glob in place of the directory."""
    for number, letter in enumerate("abc"):
        tool.write(f"d/{letter}.jsonl", b"".join(LINES[number * 1000 : number * 1000 + 1000]))
    first = tool.load("d", "-q", "q", "-b", "100", "-w", "1")
    assert_fine(first)
    forget_half(db, first.report["job"])
    (tool.folder / "d/a.jsonl").rename(tool.folder / "d/z.jsonl")

    resumed = tool.load("d", "-q", "q")
    again = tool.load("d/z.jsonl", "d/c.jsonl", "d/b.jsonl", "-q", "q")

    assert_fine(resumed)
    assert counts(resumed) == (3000, 1500, 1500, 0)
    assert resumed.report["job"] == first.report["job"]
    loaded = {source["name"]: source["loaded"] for source in resumed.report["sources"]}
    assert loaded == {"d/z.jsonl": 0, "d/b.jsonl": 500, "d/c.jsonl": 1000}
    assert_fine(again)
    assert counts(again) == (3000, 0, 3000, 0)
    assert numbers(db) == list(range(3000))


def test_a_copy_beside_a_file_is_told(tool: Tool, db: Redis) -> None:
    for name in ("d/a.jsonl", "d/b.jsonl"):
        tool.write(name, b"1\n2\n")

    done = run("load", "d", "-q", "q", "--redis", tool.url, "--no-progress", cwd=tool.folder)

    assert "d/b.jsonl has the same content as d/a.jsonl: its records are loaded a second time" in done.stderr
    assert db.llen("asynq:q.default:pending") == 4


def test_a_file_that_another_job_has_loaded_is_refused_and_again_loads_it(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b"1\n2\n")
    tool.write("b.jsonl", b"3\n")
    assert_fine(tool.load("a.jsonl", "b.jsonl", "-q", "q", "--job", "first"))

    refused = tool.load("b.jsonl", "-q", "q")
    assert_error(refused, 1, "b.jsonl is in q.default already: job first has loaded it", "--again")
    assert_error(tool.load("b.jsonl", "-q", "q", "--job", "second"), 1, "job first")
    assert not db.exists("runqy-loader:{second}:job")
    assert sorted(payloads(db, "q.default")) == [b"1", b"2", b"3"]

    assert_fine(tool.load("b.jsonl", "-q", "other"))
    assert_fine(tool.load("b.jsonl", "-q", "q", "--job", "second", "--again"))
    resumed = tool.load("b.jsonl", "-q", "q", "--job", "second")
    assert_fine(resumed)
    assert counts(resumed) == (1, 0, 1, 0)
    assert sorted(payloads(db, "q.default")) == [b"1", b"2", b"3", b"3"]


def test_a_job_that_is_not_finished_is_named_as_that(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b"1\n2\n")
    assert_fine(tool.load("a.jsonl", "-q", "q", "--job", "first"))
    db.hset("runqy-loader:{first}:job", "state", "loading")

    refused = tool.load("a.jsonl", "-q", "q")

    assert_error(refused, 1, "a part of a.jsonl may be in q.default already", "--job first", "--again")


def test_a_job_that_has_loaded_nothing_does_not_count(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b'{"n":1}\n{"n":2}\n')
    db.set("asynq:q.default:pending", "no list")
    assert_error(tool.load("a.jsonl", "-q", "q"), 1, "holds another type")
    db.delete("asynq:q.default:pending")

    assert_fine(tool.load("a.jsonl", "-q", "q", "--id-field", "n"))
    assert_error(tool.load("a.jsonl", "-q", "q"), 1, "has loaded it")

    assert sorted(payloads(db, "q.default")) == [b'{"n":1}', b'{"n":2}']


def test_a_job_whose_records_were_all_rejected_does_not_count(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b'{"n":1}\n{"n":2}\n')
    db.hset("asynq:t:1", "payload", "x")
    db.hset("asynq:t:2", "payload", "x")
    assert_fine(tool.load("a.jsonl", "-q", "q", "--id-field", "n"), 3)

    assert_fine(tool.load("a.jsonl", "-q", "q"))

    assert db.llen("asynq:q.default:pending") == 2


def test_a_job_whose_record_was_deleted_does_not_count(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b"1\n2\n")
    assert_fine(tool.load("a.jsonl", "-q", "q", "--job", "first"))
    db.delete("runqy-loader:{first}:job")

    assert_fine(tool.load("a.jsonl", "-q", "q"))

    assert db.llen("asynq:q.default:pending") == 4


def test_records_that_name_their_queues_are_compared_as_well(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b'{"m":"x"}\n{"m":"y"}\n')
    assert_fine(tool.load("a.jsonl", "--queue-field", "m", "--job", "first"))

    assert_error(tool.load("a.jsonl", "--queue-field", "m", "--job", "second"), 1, "job first has loaded it")
    assert (db.llen("asynq:x.default:pending"), db.llen("asynq:y.default:pending")) == (1, 1)


def test_again_gives_each_load_a_job_of_its_own_and_resumes_one_that_is_not_finished(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b"1\n2\n")
    first = tool.load("a.jsonl", "-q", "q", "--again")
    second = tool.load("a.jsonl", "-q", "q", "--again")
    name = first.report["job"]
    assert (second.report["job"], second.report["resumed"]) == (f"{name}-2", False)
    assert db.llen("asynq:q.default:pending") == 4

    db.hset(f"runqy-loader:{{{name}-2}}:job", "state", "loading")
    resumed = tool.load("a.jsonl", "-q", "q", "--again")
    assert (resumed.report["job"], resumed.report["resumed"]) == (f"{name}-2", True)
    assert counts(resumed) == (2, 0, 2, 0)

    third = tool.load("a.jsonl", "-q", "q", "--again")
    assert third.report["job"] == f"{name}-3"
    plain = tool.load("a.jsonl", "-q", "q")
    assert (plain.report["job"], counts(plain)) == (name, (2, 0, 2, 0))
    assert db.llen("asynq:q.default:pending") == 6


def test_a_job_of_an_earlier_version_goes_on(tool: Tool, db: Redis) -> None:
    """Such a job was named after its file and all options, and its manifest counts empty files."""
    tool.write("0.jsonl", b"")
    tool.write("a.jsonl", b"".join(LINES))
    done = tool.load("0.jsonl", "a.jsonl", "-q", "q", "-b", "100", "--job", "j", "-w", "1")
    assert_fine(done)
    forget_half(db, "j")
    record = "runqy-loader:{j}:job"
    manifest = orjson.loads(db.hget(record, "manifest"))
    empty = {"name": "0.jsonl", "format": "jsonl", "size": 0, "digest": "x"}
    db.hset(record, "manifest", orjson.dumps({**manifest, "version": 1, "sources": [empty, *manifest["sources"]]}))

    assert_error(tool.load("a.jsonl", "-q", "q", "--job", "j"), 1, "job j was begun with 2 sources, not 1")
    resumed = tool.load("0.jsonl", "a.jsonl", "-q", "q", "--job", "j", "-b", "9")

    assert_fine(resumed)
    assert counts(resumed) == (5000, 2500, 2500, 0)
    assert numbers(db) == list(range(5000))


def as_version_1(db: Redis, job: str) -> None:
    """Makes a job one that version 1 has begun, which noted no sources."""
    record = f"runqy-loader:{{{job}}}:job"
    db.hset(record, "manifest", orjson.dumps({**orjson.loads(db.hget(record, "manifest")), "version": 1}))
    db.delete(*db.keys("runqy-loader:*:source:*"))


@pytest.mark.parametrize("keys", [0, 20_000])
def test_what_a_job_of_an_earlier_version_has_loaded_is_refused_under_another_name(
    tool: Tool, db: Redis, keys: int
) -> None:
    tool.write("a.jsonl", b"1\n2\n")
    assert_fine(tool.load("a.jsonl", "-q", "q", "--job", "old"))
    as_version_1(db, "old")
    db.mset({f"other:{n}": n for n in range(keys)} or {"other": 1})

    assert_error(tool.load("a.jsonl", "-q", "q"), 1, "a.jsonl is in q.default already: job old has loaded it")

    assert db.exists("runqy-loader:searched") == (keys > 0)
    assert db.llen("asynq:q.default:pending") == 2
    assert_fine(tool.load("a.jsonl", "-q", "q", "--again"))


def test_a_server_that_was_searched_is_not_searched_again(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b"1\n2\n")
    assert_fine(tool.load("a.jsonl", "-q", "q", "--job", "old"))
    as_version_1(db, "old")
    db.set("runqy-loader:searched", "1")

    assert_fine(tool.load("a.jsonl", "-q", "q"))


# --- input that cannot be read again ---------------------------------------------------------------------------------


def test_a_pipe_whose_producer_died_is_loaded_to_its_end_by_the_next_run(tool: Tool, db: Redis) -> None:
    content = b"".join(LINES)
    died = tool.load("-", "-q", "q", "--job", "oc", stdin=content[:20_000])
    assert_fine(died, 3)
    (cut,) = rejects(tool, died)
    assert cut["code"] == "cut_off" and "no line end" in cut["reason"] and "complete?" in cut["reason"]

    whole = tool.load("-", "-q", "q", "--job", "oc", stdin=content)
    again = tool.load("-", "-q", "q", "--job", "oc", stdin=content)

    assert_fine(whole)
    assert_fine(again)
    loaded = counts(died)[1]
    assert counts(whole) == (5000, 5000 - loaded, loaded, 0)
    assert counts(again) == (5000, 0, 5000, 0)
    assert numbers(db) == list(range(5000))


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(
        st.sampled_from([b"1", b"", b"bad", b'"x"', b'{"a": [1, 2]}', b"[" + b"1," * 99 + b"1]"]), min_size=1
    ),
    ends=st.lists(st.integers(0, 10**6), max_size=4),
    batch_size=st.integers(1, 5),
)
def test_a_pipe_that_ends_too_early_again_and_again_is_in_once(
    tool: Tool, db: Redis, lines: list[bytes], ends: list[int], batch_size: int
) -> None:
    db.flushall()
    content = b"".join(line + b"\n" for line in lines)
    wanted = sorted(line for line in lines if line not in (b"", b"bad"))
    for end in [*sorted(end % (len(content) + 1) for end in ends), len(content)]:
        piece = content[:end]
        if not piece.strip(b"\n"):
            continue
        done = tool.load("-", "-q", "q", "--job", "j", "-b", str(batch_size), "--max-errors", "1000", stdin=piece)
        assert done.status in (0, 3), done.stderr

    found = sorted(payloads(db, "q.default"))

    assert found == wanted


@pytest.mark.parametrize("cut", [b"{", b"[", b'{"a": [1, 2', b'"x', b"tru"])
def test_a_pipe_that_ends_in_its_first_line_is_gone_on_with(tool: Tool, db: Redis, cut: bytes) -> None:
    whole = {b"{": b"{}", b"[": b"[1]", b'"x': b'"x"', b"tru": b"true"}.get(cut, cut + b"]}")
    died = tool.load("-", "-q", "q", "--job", "j", stdin=cut)
    resumed = tool.load("-", "-q", "q", "--job", "j", stdin=whole + b"\n1\n")

    assert_fine(died, 3)
    assert died.report["rejected_by_code"] == {"cut_off": 1}
    assert_fine(resumed)
    assert sorted(payloads(db, "q.default")) == sorted([whole, b"1"])


@pytest.mark.parametrize("source", ["file", "pipe"])
def test_a_last_line_without_a_line_end_is_an_error_if_that_is_wanted(tool: Tool, db: Redis, source: str) -> None:
    tool.write("a.jsonl", b"1\n2\n3")
    name, stdin = ("a.jsonl", None) if source == "file" else ("-", b"1\n2\n3")
    arguments = (name, "-q", "q", "--job", "j")

    refused = tool.load(*arguments, "--require-final-newline", stdin=stdin)

    assert_error(refused, 1, f"{name}:3: the last record has no line end", "--require-final-newline")
    whole = tool.load(*arguments, stdin=stdin)
    assert_fine(whole)
    assert payloads(db, "q.default") == [b"1", b"2", b"3"]


def test_a_blank_end_is_no_record_that_lacks_its_line_end(tool: Tool, db: Redis) -> None:
    assert_fine(tool.load("-", "-q", "q", "--require-final-newline", stdin=b"1\n2\n  "))
    assert payloads(db, "q.default") == [b"1", b"2"]


def test_a_file_that_ends_in_the_middle_of_a_record_says_so(tool: Tool, db: Redis) -> None:
    tool.write("a.jsonl", b'{"a":1}\n{"a":')

    done = tool.load("a.jsonl", "-q", "q")

    assert_fine(done, 3)
    (cut,) = rejects(tool, done)
    assert (cut["code"], cut["line"], cut["record"]) == ("cut_off", 2, '{"a":')


LONG = b"".join(b'{"n":%d,"pad":"%b"}\n' % (n, b"x" * (3000 if n % 10 == 5 else 9)) for n in range(3000))


@pytest.mark.parametrize("limit", [2000, 20], ids=["some records are over the limit", "all are"])
def test_a_resume_with_a_limit_that_does_not_fit_leaves_the_job_and_its_rejects_as_they_were(
    tool: Tool, db: Redis, limit: int
) -> None:
    tool.write("m.jsonl", LONG + b"bad\n")
    first = tool.load("m.jsonl", "-q", "q", "-b", "100", "-w", "1")
    assert_fine(first, 3)
    forget_half(db, first.report["job"])

    refused = tool.load("m.jsonl", "-q", "q", "--max-record-bytes", str(limit))
    assert refused.status == 1
    assert refused.report["error_code"] == ("source_changed" if limit == 2000 else "reject_storm")
    assert "nothing was loaded" not in refused.stderr
    assert "go on with" not in refused.stderr
    assert [reject["record"] for reject in rejects(tool, first)] == ["bad"]

    second = tool.load("m.jsonl", "-q", "q")
    assert_fine(second, 3)
    assert counts(second)[0] == 3001
    assert numbers(db) == list(range(3000))


def test_a_lower_limit_that_fits_stays_with_the_job(tool: Tool, db: Redis) -> None:
    tool.write("m.jsonl", LONG)
    first = tool.load("m.jsonl", "-q", "q", "--max-record-bytes", "2500", "-b", "100", "-w", "1")
    assert_fine(first, 3)
    forget_half(db, first.report["job"])
    assert_error(tool.load("m.jsonl", "-q", "q", "--max-record-bytes", "10"), 1, "nothing more was loaded")

    second = tool.load("m.jsonl", "-q", "q", "--max-record-bytes", "2000")
    assert_fine(second, 3)
    third = tool.load("m.jsonl", "-q", "q", "--max-record-bytes", "9000")
    assert_fine(third, 3)

    assert counts(third) == (3000, 0, 2700, 300)
    assert numbers(db) == [n for n in range(3000) if n % 10 != 5]


def test_records_that_are_in_do_not_get_into_the_rejects_file_of_a_resume(tool: Tool, db: Redis) -> None:
    line = b'{"payload":%d}\n'
    tool.write("m.jsonl", b"".join(line % n for n in range(100)) + b'{"payload":100,"process_in":9}\n')
    loaded = tool.load("m.jsonl", "-q", "q", "--envelope", "--layout", "asynq", "--force-schedule")
    assert_fine(loaded)

    refused = tool.load("m.jsonl", "-q", "q", "--envelope", "--layout", "asynq")

    assert_error(refused, 1, "are not the ones that job")
    assert refused.report["rejects_file"] is None
    assert not list(tool.folder.glob("*.rejects.jsonl"))


UNUSUAL = [b'{"s":"\\ud800"}', b"1e400", b'{"s":"\\udfff","t":[1]}  ']


@pytest.mark.parametrize("before", [b"", b'{"n":1}\n', b'bad\n{"n":1}\n'], ids=["alone", "last", "after a bad one"])
@pytest.mark.parametrize("last", UNUSUAL, ids=["lone surrogate", "large number", "white space"])
@pytest.mark.parametrize("piped", [False, True], ids=["file", "pipe"])
def test_a_last_record_without_a_line_end_that_is_json_is_not_cut_off(
    tool: Tool, db: Redis, before: bytes, last: bytes, piped: bool
) -> None:
    path = tool.write("m.jsonl", before + last)
    name, stdin = ("-", path.read_bytes()) if piped else ("m.jsonl", None)
    bad = before.count(b"bad")

    refused = tool.load(name, "-q", "q", "--job", "refused", stdin=stdin)
    assert_fine(refused, 3)
    assert [reject["code"] for reject in rejects(tool, refused)] == ["invalid_json"] * bad + ["not_portable"]

    taken = tool.load(name, "-q", "other", "--job", "taken", "--accept-any-json", stdin=stdin)
    assert_fine(taken, 3 if bad else 0)
    if bad:
        assert [reject["line"] for reject in rejects(tool, taken)] == [1]
    assert last.strip() in payloads(db, "other.default")


def test_a_job_of_a_pipe_is_not_one_of_a_file(tool: Tool, db: Redis) -> None:
    tool.write("m.jsonl", b"1\n")
    assert_fine(tool.load("-", "-q", "q", "--job", "j", stdin=b"1\n"))

    assert_error(tool.load("m.jsonl", "-q", "q", "--job", "j"), 1, "job j was begun with input -, not m.jsonl")
