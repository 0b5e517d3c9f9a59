"""Loads of the rows of a query: exactly once, what a resume may find, and what cannot be, in one line each."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loader.sources.sql.query import SqlQuery
from tests.cli import Outcome, run
from tests.integration.tool import Redis, Tool, assert_error, assert_fine, counts, payloads, rejects
from tests.postgres import ENCODED, PASSWORD, USER, Postgres
from tests.runqy_api import KEY, RunqyApi

QUERY = "select id, body from jobs order by id"
ROWS = 2500
ALONE = {"PGPASSWORD": "", "PGPASSFILE": "/none/pgpass"}
"""Whatever the user has for databases of their own."""


def task(number: int, body: str | None = None) -> bytes:
    return f'{{"id":{number},"body":"{body or f"text {number}"}"}}'.encode()


@pytest.fixture
def jobs(postgres: Postgres) -> Iterator[Any]:
    """A connection to a database with the table ``jobs``, which has gaps in its numbers."""
    with postgres.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS jobs")
        connection.execute("CREATE TABLE jobs (id int8 PRIMARY KEY, body text)")
        connection.execute("INSERT INTO jobs SELECT 2 * n, 'text ' || 2 * n FROM generate_series(1, %s) n", [ROWS])
        yield connection


class Asked:
    """Loads from the database."""

    def __init__(self, tool: Tool, postgres: Postgres) -> None:
        self.tool = tool
        self.postgres = postgres

    def load(self, *more: str, sql: str = QUERY, url: str | None = None, env: dict[str, str] | None = None) -> Outcome:
        where = ("--from", url or self.postgres.url, "-q", "q", "-w", "1")
        return self.tool.load("--sql", sql, *where, *more, env={**ALONE, **(self.postgres.env if env is None else env)})


@pytest.fixture
def asked(tool: Tool, postgres: Postgres) -> Asked:
    return Asked(tool, postgres)


@pytest.mark.usefixtures("jobs")
def test_each_row_becomes_a_task_once(asked: Asked, db: Redis) -> None:
    done, again = asked.load(), asked.load()
    assert_fine(done)
    assert (counts(done), counts(again)) == ((ROWS, ROWS, 0, 0), (ROWS, 0, ROWS, 0))
    assert payloads(db, "q.default") == [task(2 * n) for n in range(1, ROWS + 1)]
    assert done.report["sources"][0]["name"] == f"postgresql://{asked.postgres.place}"


@pytest.mark.parametrize("left", [2499, 2000, 1000, 0])
@pytest.mark.parametrize("size", ["500", "1000"])
def test_rows_that_are_missing_at_the_end_are_told(asked: Asked, db: Redis, jobs: Any, left: int, size: str) -> None:
    assert_fine(asked.load("-b", size))
    jobs.execute("DELETE FROM jobs WHERE id > %s", [2 * left])
    gone = asked.load("-b", size)
    if left % int(size):  # the last batch is another
        assert_error(gone, 1, "not the ones that job", "The rows have changed since")
    else:
        assert_error(gone, 1, "has ended, and job", "loaded more records of it before", "The rows have changed since")
    assert len(payloads(db, "q.default")) == ROWS


@pytest.mark.parametrize("left", [1050, 1000, 0])
def test_rows_that_are_missing_at_the_end_are_told_over_http(
    asked: Asked, jobs: Any, tmp_path: Path, left: int
) -> None:
    with RunqyApi() as api:
        given = ("load", "--sql", QUERY, "--from", asked.postgres.url, "--to", api.url, "-q", "q", "--report", "-")
        env = {**ALONE, **asked.postgres.env, "RUNQY_API_KEY": KEY}
        whole = run(*given, "--quiet", cwd=tmp_path, env=env)
        assert_fine(whole)
        jobs.execute("DELETE FROM jobs WHERE id > %s", [2 * left])
        gone = run(*given, "--quiet", cwd=tmp_path, env=env)
        assert_error(gone, 1, "The rows have changed since")
        assert len(api.payloads()) == ROWS


@pytest.mark.parametrize("login", ["me:sEcret%zz", "me:sE@cret", "me:sE/cret", "me:sE?cret", "me:sE#cret", "me:sEcret"])
@pytest.mark.parametrize("scheme", ["postgresql", "mysql+pymysql"])
def test_no_part_of_a_password_is_shown(tool: Tool, login: str, scheme: str) -> None:
    url = f"{scheme}://{login}@127.0.0.1:1/db"
    for more in ([], ["--debug"]):
        given = ("load", "--sql", "select 1 as id order by id", "--from", url, "-q", "q", "--redis", tool.url, *more)
        done = run(*given, cwd=tool.folder)
        assert done.status in (1, 2), done
        assert "sE" not in done.stderr
        assert "cret" not in done.stderr


def test_an_array_of_a_domain_is_one_of_its_base_type(asked: Asked, db: Redis, jobs: Any) -> None:
    jobs.execute("DROP DOMAIN IF EXISTS deeper, deep")
    jobs.execute("CREATE DOMAIN deep AS int")
    jobs.execute("CREATE DOMAIN deeper AS deep")
    assert_fine(
        asked.load(sql="select 1 as id, array[5, 6]::deep[] as d, array[7]::deeper[] as e, 8::deeper as f order by id")
    )
    assert payloads(db, "q.default") == [b'{"id":1,"d":[5,6],"e":[7],"f":8}']


def test_rows_added_at_the_end_are_loaded_by_the_next_run(asked: Asked, db: Redis, jobs: Any) -> None:
    assert_fine(asked.load())
    for more in (1, 1700):
        jobs.execute(
            "INSERT INTO jobs SELECT last + n, 'new ' || last + n "
            "FROM generate_series(1, %s) n, (SELECT max(id) AS last FROM jobs) x",
            [more],
        )
        assert counts(asked.load())[1] == more
    assert len(payloads(db, "q.default")) == ROWS + 1701
    assert len(set(payloads(db, "q.default"))) == ROWS + 1701


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ("UPDATE jobs SET body = 'other' WHERE id = 2222", 1001),
        ("INSERT INTO jobs VALUES (2221, 'between')", 1001),
        ("DELETE FROM jobs WHERE id = 5000", 2001),
    ],
)
def test_rows_that_were_loaded_and_have_changed_are_told(
    asked: Asked, db: Redis, jobs: Any, change: str, row: int
) -> None:
    assert_fine(asked.load("--job", "j"))
    before = payloads(db, "q.default")
    jobs.execute(change)
    done = asked.load("--job", "j")
    assert_error(done, 1, f": row {row}: the ", "not the ones that job j has loaded. The rows have changed since")
    assert payloads(db, "q.default") == before


def test_the_same_rows_by_another_query_or_from_elsewhere_are_another_job(asked: Asked, jobs: Any) -> None:
    assert_fine(asked.load("--job", "j"))
    other = asked.load("--job", "j", sql=f"{QUERY} ")
    assert_error(other, 1, "job j was begun with another query of postgresql://", "or give another --job name")
    with_login = f"postgresql://{USER}:{ENCODED}@{asked.postgres.place}?application_name=x"
    assert counts(asked.load("--job", "j", url=with_login, env={})) == (ROWS, 0, ROWS, 0)
    second = asked.load("--job", "k")
    assert_error(second, 1, "is in q.default already: job j has loaded it")


def test_the_statement_may_be_in_a_file(asked: Asked, tool: Tool, jobs: Any) -> None:
    tool.write("q.sql", f"-- nightly\n{QUERY};\n")
    env = {**asked.postgres.env, "RUNQY_LOADER_FROM": asked.postgres.url}
    done = tool.load("--sql-file", "q.sql", "-q", "q", env=env)
    assert_fine(done)
    assert counts(done) == (ROWS, ROWS, 0, 0)
    tool.write("c.toml", f'[load]\nfrom = "{asked.postgres.url}"\nsql-file = "q.sql"\n')
    again = tool.load("--config", "c.toml", "-q", "q", env=asked.postgres.env)
    assert counts(again) == (ROWS, 0, ROWS, 0)


@pytest.mark.parametrize("command", [["load"], ["load", "--preview", "1"], ["doctor"]])
def test_the_statement_may_come_by_a_pipe(asked: Asked, tool: Tool, command: list[str]) -> None:
    given = (*command, "--sql-file", "/dev/stdin", "--from", asked.postgres.url, "-q", "q", "--redis", tool.url)
    done = run(*given, cwd=tool.folder, stdin=b"select 1 as id order by id", env=asked.postgres.env)
    assert done.status == 0, done


def test_columns_are_renamed_and_nulls_left_out(asked: Asked, db: Redis) -> None:
    sql = "select 1 as a, null as a, '50%' as \"x y\" order by 1"
    assert_error(asked.load(sql=sql), 1, "two columns are called 'a'", "AS name")
    assert_error(asked.load("--columns", "k,l", sql=sql), 1, "--sql gives 3 columns, and --columns 2")
    assert_fine(asked.load("--columns", "k,l,%s", "--nulls", "omit", sql=sql))
    assert payloads(db, "q.default") == [b'{"k":1,"%s":"50%"}']


def test_no_rows_are_fine(asked: Asked) -> None:
    done = asked.load(sql="select 1 as id where false order by id")
    assert_fine(done)
    assert counts(done) == (0, 0, 0, 0)


@pytest.mark.usefixtures("jobs")
def test_other_commands_take_the_query_as_well(asked: Asked, tool: Tool) -> None:
    assert_fine(asked.load("--job", "j"))
    query = ("--sql", QUERY, "--from", asked.postgres.url, "-q", "q")
    env = asked.postgres.env
    server = ("--redis", tool.url)
    verified = run("verify", *query, *server, "--job", "j", cwd=tool.folder, env=env)
    assert verified.status == 0 and "compared               2,500" in verified.stderr, verified
    by_ledger = run("verify", "j", *server, cwd=tool.folder)
    assert by_ledger.status == 0 and "the input is not here" in by_ledger.stderr
    shown = run("jobs", "show", "j", *server, cwd=tool.folder)
    assert f"postgresql://{asked.postgres.place}" in shown.stdout and "select" not in shown.stdout
    preview = run("load", *query, "--preview", "1", cwd=tool.folder, env=env)
    assert json.loads(preview.stdout)["payload"] == {"id": 2, "body": "text 2"}
    doctor = run("doctor", *query, *server, cwd=tool.folder, env=env)
    assert doctor.status == 0 and "ready to load" in doctor.stdout
    wrong = run("doctor", "--sql", "select x from jobs order by x", *query[2:], *server, cwd=tool.folder, env=env)
    assert wrong.status == 1 and 'column "x" does not exist' in wrong.stdout


@pytest.mark.parametrize(
    ("sql", "more", "status", "words"),
    [
        ("selec 1", (), 2, ["--sql begins with 'selec'", "must be one SELECT"]),
        ("select id form jobs order by id", (), 1, ['syntax error at or near "jobs"', "Correct --sql"]),
        ("select id from jobs order by id +", (), 1, ["syntax error at end of input"]),
        ("select nope from jobs order by nope", (), 1, ['column "nope" does not exist (at character 8 of --sql)']),
        ("select * from nope order by id", (), 1, ['relation "nope" does not exist']),
        ("select id from jobs", (), 2, ["--sql has no ORDER BY"]),
        ("select id from jobs order by id; delete from jobs", (), 2, ["more than one statement"]),
        ("delete from jobs returning id", (), 2, ["begins with 'delete'"]),
        (
            "with gone as (delete from jobs returning id) select id from gone order by id",
            (),
            1,
            ["in a read-only transaction", "--sql only reads"],
        ),
        ("select body from jobs order by lower(body)", (), 2, ["its key is not known. Give --sql-key", "body"]),
        ("select id from jobs order by id", ("--sql-key", "x"), 2, ["--sql-key names x, which is no output column"]),
        ("select id / 4 as k from jobs order by k", (), 1, ["row 3 has the same key as the row before: k 1"]),
        ("select 'x' as k from jobs order by k", (), 1, ["row 2 has the same key as the row before: k x"]),
        ("select id from jobs order by -id", ("--sql-key", "id"), 1, ["row 2: its key id 4998 does not rise above"]),
        ("select nullif(id, 8) as k from jobs order by k nulls first", (), 1, ["row 1: k is NULL"]),
        ("select from jobs order by 1", (), 1, ["ORDER BY position 1 is not in select list"]),
        ("select 1 / (id - 20) as v, id from jobs order by id", (), 1, ["division by zero", "Correct --sql"]),
    ],
)
@pytest.mark.usefixtures("jobs")
def test_what_cannot_be_is_one_line(
    asked: Asked, db: Redis, sql: str, more: tuple[str, ...], status: int, words: list[str]
) -> None:
    assert_error(asked.load(*more, sql=sql), status, *words)
    assert not db.keys("asynq:t:*")


def test_a_statement_that_takes_too_long_is_told(asked: Asked) -> None:
    slow = f"{asked.postgres.url}?options=-c%20statement_timeout%3D300"
    done = asked.load(sql="select pg_sleep(5)::text as s, 1 as id order by id", url=slow)
    assert_error(done, 1, "canceling statement due to statement timeout", "raise statement_timeout for this user")


def test_what_the_user_may_not_read_is_told(asked: Asked, jobs: Any) -> None:
    jobs.execute("DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN PASSWORD 'g'")
    done = asked.load(url=f"postgresql://guest@{asked.postgres.place}", env={"PGPASSWORD": "g"})
    assert_error(done, 1, "permission denied for table jobs", "GRANT SELECT")


@pytest.mark.parametrize(
    ("url", "env", "words"),
    [
        ("postgresql://tester@{place}", {}, ["no password supplied", "PGPASSWORD", "~/.pgpass"]),
        ("postgresql://tester:wrong-SECRET@{place}", {}, ["password authentication failed", "PGPASSWORD"]),
        ("postgresql://tester@127.0.0.1:1/x", {}, ["Connection refused. Check host and port of --from"]),
        ("postgresql://tester:{password}@{server}/none", {}, ['database "none" does not exist. Correct --from']),
        ("postgresql://tester:SECRET%@h/d", {}, ["--from is no valid URL of PostgreSQL"]),
        ("mysql+nodriver://u:SECRET@h/d", {}, ["SQLAlchemy", "knows no database"]),
        ("mysql+pymysql://u:SECRET@h/d", {}, ["needs the package pymysql. Install it: pip install pymysql"]),
        ("nothing://u:SECRET@h/d", {}, ["knows no database 'nothing'"]),
        ("sqlite:///none.db", {}, ["--from sqlite:///none.db: there is no such file"]),
        ("host=h password=SECRET", {}, ["--from must be a URL"]),
    ],
)
def test_a_database_that_is_not_there_is_one_line_without_a_password(
    asked: Asked, url: str, env: dict[str, str], words: list[str]
) -> None:
    server = asked.postgres.place.partition("/")[0]
    given = url.format(place=asked.postgres.place, password=ENCODED, server=server)
    done = asked.load(url=given, env=env)
    assert_error(done, done.status, *words)
    assert done.status in (1, 2)
    for secret in ("SECRET", PASSWORD, ENCODED):
        assert secret not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sql", "select 1 as id order by id"), ["--sql needs --from"]),
        (("in.jsonl", "--from", "postgresql://h/d"), ["--from names a database, and there is no query"]),
        (("in.jsonl", "--sql", QUERY, "--from", "sqlite:///x"), ["--sql and other input contradict each other"]),
        (("--sql", QUERY, "--sql-file", "q.sql", "--from", "sqlite:///x"), ["--sql and --sql-file contradict"]),
        (("--sql", QUERY, "--format", "csv", "--from", "sqlite:///x"), ["--sql and --format contradict each other"]),
        (("in.jsonl", "--sql-key", "id"), ["--sql-key needs --sql"]),
        (("--sql-file", "none.sql", "--from", "sqlite:///x"), ["--sql-file none.sql: No such file"]),
        (("--sql", QUERY, "--csv-null", "", "--from", "sqlite:///x"), ["--csv-null is for CSV, TSV"]),
    ],
)
def test_options_that_do_not_go_together_are_told(tool: Tool, arguments: tuple[str, ...], words: list[str]) -> None:
    tool.write("in.jsonl", b"1\n")
    assert_error(tool.load(*arguments, "-q", "q"), 2, *words)


def test_the_password_is_in_no_record_report_or_message(asked: Asked, db: Redis, tool: Tool, jobs: Any) -> None:
    done = asked.load("--job", "j", "--limit", "10", url=asked.postgres.whole_url, env={})
    loud = run(
        *("load", "--sql", QUERY, "--from", asked.postgres.whole_url, "-q", "r", "--redis", tool.url, "--debug"),
        cwd=tool.folder,
    )
    assert (done.status, loud.status) == (0, 0)
    jobs.execute("UPDATE jobs SET body = 'other'")
    failed = asked.load("--job", "j", "--limit", "10", url=asked.postgres.whole_url, env={})
    texts = [done.stdout, loud.stderr, loud.stdout, failed.stderr, failed.stdout]
    texts += [str(db.hgetall(key)) for key in db.keys("runqy-loader:*") if db.type(key) == b"hash"]
    assert failed.status == 1
    for text in texts:
        assert PASSWORD not in text and ENCODED not in text and f"{USER}@" not in text


@pytest.mark.usefixtures("jobs")
def test_password_files_and_service_files_of_libpq_work(asked: Asked, tool: Tool) -> None:
    secret = tool.write("pgpass", "*:*:*:*:" + PASSWORD.replace(":", "\\:") + "\n")
    secret.chmod(0o600)
    host, _, port = asked.postgres.place.partition("/")[0].partition(":")
    service = tool.write("services", f"[shop]\nhost={host}\nport={port}\nuser={USER}\ndbname=postgres\n")
    env = {"PGPASSFILE": str(secret), "PGSERVICEFILE": str(service)}
    assert_fine(asked.load(env=env))
    by_service = asked.load(url="postgresql://?service=shop", env=env)
    assert counts(by_service) == (ROWS, 0, ROWS, 0)
    assert by_service.report["sources"][0]["name"] == f"postgresql://{asked.postgres.place}"


def test_settings_of_libpq_count_more_than_those_of_the_loader(
    asked: Asked, tool: Tool, db: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "select current_setting('application_name') as name order by name"
    assert_fine(asked.load(sql=sql, env={**asked.postgres.env, "PGAPPNAME": "mine"}))
    service = tool.write("services", "[shop]\napplication_name=shop\nkeepalives_idle=7\n")
    url = f"{asked.postgres.url}?service=shop"
    env = {**asked.postgres.env, "PGSERVICEFILE": str(service)}
    assert_fine(asked.load("--job", "s", "--again", sql=sql, url=url, env=env))
    assert payloads(db, "q.default") == [b'{"name":"mine"}', b'{"name":"shop"}']

    from loader.sources.sql.postgres import PostgresQuery

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with (
        closing(PostgresQuery(SqlQuery(sql, url), lambda query: None)) as query,
        socket.socket(fileno=os.dup(query._connection.fileno())) as connected,
    ):
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7


@pytest.mark.parametrize(
    ("package", "url", "extra"), [("psycopg", "postgresql://h/d", "postgres"), ("sqlalchemy", "sqlite:///x", "sql")]
)
def test_a_driver_that_is_not_installed_is_told(tool: Tool, package: str, url: str, extra: str) -> None:
    hide = f"import sys; sys.modules[{package!r}] = None; from loader.__main__ import main; main()"
    arguments = ("load", "--sql", QUERY, "--from", url, "-q", "q", "--redis", tool.url)
    done = subprocess.run(
        [sys.executable, "-c", hide, *arguments], cwd=tool.folder, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"--from {url.partition(':')[0]}:// needs the package {package}" in done.stderr
    assert f"pip install 'runqy-loader[{extra}]'" in done.stderr


# --- SQLite, by SQLAlchemy ------------------------------------------------------------------------------------------


@pytest.fixture
def sqlite(tool: Tool) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tool.folder / "x.db")
    connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, body, f REAL, b BLOB)")
    rows = [(n, None if n % 7 == 0 else f"text ':x' % {n}", n / 4, bytes([n % 256])) for n in range(1, ROWS + 1)]
    connection.executemany("INSERT INTO jobs VALUES (?, ?, ?, ?)", rows)
    connection.commit()
    yield connection
    connection.close()


SQLITE = ("--from", "sqlite:///x.db", "-q", "q", "-w", "1")


def test_sqlite_is_read_by_sqlalchemy(tool: Tool, db: Redis, sqlite: sqlite3.Connection) -> None:
    query = ("--sql", "select id, body, f, b, ':x %s' as t from jobs order by id", *SQLITE)
    done, again = tool.load(*query), tool.load(*query)
    assert_fine(done)
    assert (counts(done), counts(again)) == ((ROWS, ROWS, 0, 0), (ROWS, 0, ROWS, 0))
    found = payloads(db, "q.default")
    assert found[0] == b'{"id":1,"body":"text \':x\' % 1","f":0.25,"b":"AQ==","t":":x %s"}'
    assert found[6] == b'{"id":7,"body":null,"f":1.75,"b":"Bw==","t":":x %s"}'
    sqlite.execute("INSERT INTO jobs VALUES (9007199254740993, 'last', 1.0, x'')")
    sqlite.commit()
    assert counts(tool.load(*query))[1] == 1
    assert payloads(db, "q.default")[-1] == b'{"id":9007199254740993,"body":"last","f":1.0,"b":"","t":":x %s"}'
    sqlite.execute("UPDATE jobs SET body = 1 WHERE id = 3")
    sqlite.commit()
    assert_error(tool.load(*query), 1, "sqlite:///x.db: row 1: the 1000 records from here on are not the ones")


@pytest.mark.usefixtures("sqlite")
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select nope from jobs order by nope", ["sqlite:///x.db: no such column: nope. Correct --sql"]),
        ("select id / 2 as k from jobs order by k", ["row 3 has the same key as the row before: k 1"]),
        ("with x as (select 1 as id) insert into jobs (id) select id from x order by id", ["readonly database"]),
        ("select id, id from jobs order by id", ["two columns are called 'id'"]),
    ],
)
def test_what_sqlite_refuses_is_one_line(tool: Tool, sql: str, words: list[str]) -> None:
    assert_error(tool.load("--sql", sql, *SQLITE), 1, *words)


def test_infinities_of_sqlite(tool: Tool, db: Redis, sqlite: sqlite3.Connection) -> None:
    sql = "select 1 as id, 9e999 as v order by id"
    assert_fine(tool.load("--sql", sql, *SQLITE))
    assert_fine(tool.load("--sql", sql, *SQLITE, "--nan", "string", "--job", "s", "--again"))
    assert payloads(db, "q.default") == [b'{"id":1,"v":null}', b'{"id":1,"v":"Infinity"}']
    done = tool.load("--sql", sql, *SQLITE, "--nan", "reject", "--job", "r", "--again", "--max-errors", "none")
    assert rejects(tool, done)[0]["reason"] == "JSON has no value for Infinity"


def test_a_file_of_sqlite_is_the_same_from_any_folder(tool: Tool, sqlite: sqlite3.Connection) -> None:
    sql = ("--sql", "select id from jobs order by id")
    assert counts(tool.load(*sql, *SQLITE))[1] == ROWS
    for path in (tool.folder / "x.db", "file:x.db?uri=true"):
        assert counts(tool.load(*sql, "--from", f"sqlite:///{path}", "-q", "q"))[:3] == (ROWS, 0, ROWS)


def test_a_file_of_sqlite_has_its_own_name(tool: Tool, sqlite: sqlite3.Connection) -> None:
    sqlite.close()
    (tool.folder / "x.db").rename(tool.folder / "you@home#1.db")
    done = tool.load("--sql", QUERY, "--from", "sqlite:///you@home#1.db", "-q", "q")
    assert_fine(done)
    assert done.report["sources"][0]["name"] == "sqlite:///you@home#1.db"


@pytest.mark.usefixtures("jobs")
def test_a_url_that_names_nothing_is_named_by_the_server_that_was_found(asked: Asked) -> None:
    host, _, port = asked.postgres.place.partition("/")[0].partition(":")
    env = {**asked.postgres.env, "PGHOST": host, "PGPORT": port, "PGUSER": USER, "PGDATABASE": "postgres"}
    done = asked.load(url="postgresql:///?application_name=a@b", env=env)
    assert_fine(done)
    assert done.report["sources"][0]["name"] == f"postgresql://{asked.postgres.place}"


def test_a_file_of_sqlite_is_not_made(tool: Tool) -> None:
    tool.load("--sql", QUERY, *SQLITE)
    assert not Path(tool.folder / "x.db").exists()


# --- rows that name their queues ------------------------------------------------------------------------------------


@pytest.fixture
def routed(tool: Tool) -> Iterator[sqlite3.Connection]:
    """A thousand rows for one queue, and then as many for another."""
    connection = sqlite3.connect(tool.folder / "r.db")
    connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, queue)")
    rows = [(n, "ga" if n <= 1000 else "gb") for n in range(1, 2001)]
    connection.executemany("INSERT INTO jobs VALUES (?, ?)", rows)
    connection.commit()
    yield connection
    connection.close()


ROUTED = ("--sql", "select id, queue from jobs order by id", "--from", "sqlite:///r.db", "-w", "1", "--job", "j")
BY_FIELD = ("--queue-field", "queue")


@pytest.mark.parametrize("more", [BY_FIELD, (*BY_FIELD, "-q", "rest"), ("--queue-from", "queue")], ids=" ".join)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE jobs SET queue = 'ga'", ": row 1001: the 1000 records from here on are not the ones that job j has"),
        ("UPDATE jobs SET queue = 'gc'", ": row 1: the 1000 records from here on are not the ones that job j has"),
        ("DELETE FROM jobs WHERE queue = 'gb'", "has ended, and job j has loaded more records of it before"),
        ("DELETE FROM jobs", "has ended, and job j has loaded more records of it before"),
    ],
)
def test_rows_that_have_gone_to_another_queue_are_told(
    tool: Tool, db: Redis, routed: sqlite3.Connection, change: str, words: str, more: tuple[str, ...]
) -> None:
    done, again = tool.load(*ROUTED, *more), tool.load(*ROUTED, *more)
    assert_fine(done)
    assert (counts(done), counts(again)) == ((2000, 2000, 0, 0), (2000, 0, 2000, 0))
    routed.execute(change)
    routed.commit()
    assert_error(tool.load(*ROUTED, *more), 1, words, "The rows have changed since")
    assert [db.llen(f"asynq:{queue}.default:pending") for queue in ("ga", "gb", "gc")] == [1000, 1000, 0]


def test_rows_for_a_new_queue_at_the_end_are_loaded(tool: Tool, db: Redis, routed: sqlite3.Connection) -> None:
    assert_fine(tool.load(*ROUTED, *BY_FIELD))
    routed.execute("INSERT INTO jobs VALUES (2001, 'gc')")
    routed.commit()
    assert counts(tool.load(*ROUTED, *BY_FIELD)) == (2001, 1, 2000, 0)
