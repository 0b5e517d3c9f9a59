"""A load of rows of a query that dies on either side: it goes on, each row is in once, and changed rows are told."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.faults.assassin import Assassin
from tests.faults.scene import Scene
from tests.postgres import Postgres

ROWS = 30_000
QUERY = "select id, body from jobs order by id"


def payload(number: int) -> bytes:
    return f'{{"id":{number},"body":"{number % 10}'.encode() + b"x" * 600 + b'"}'


@pytest.fixture
def database(scene: Scene, postgres: Postgres) -> Iterator[Any]:
    """A connection to the database whose table the scene loads: more than the buffers of a connection hold."""
    with postgres.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS jobs")
        connection.execute("CREATE TABLE jobs (id int8 PRIMARY KEY, body text)")
        connection.execute(
            "INSERT INTO jobs SELECT n, n %% 10 || repeat('x', 600) FROM generate_series(10, %s) n", [ROWS + 9]
        )
        scene.env = postgres.env
        lines = [payload(number) for number in range(10, ROWS + 10)]
        scene.input_of(lines, "--sql", QUERY, "--from", postgres.url, "-b", "100", "--job", "j")
        yield connection


@pytest.mark.usefixtures("database")
def test_a_killed_load_goes_on(scene: Scene) -> None:
    done = Assassin(scene, 7).run()
    scene.assert_all_in(done)


def test_a_connection_that_the_database_ends_is_one_line_and_the_load_goes_on(scene: Scene, database: Any) -> None:
    with scene.halted(5) as running:
        (ended,) = database.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'runqy-loader'"
        ).fetchone()
        scene.proxy.go_on()
        cut = running.wait()
    assert ended == 1
    assert cut.status == 1
    (line,) = [line for line in cut.stderr.splitlines() if "error" in line]
    # Which of the two depends on whether libpq reads the server's last word before it sees the end.
    assert "terminating connection due to" in line or "server closed the connection unexpectedly. " in line
    assert "after row " in line and "The same command goes on" in line
    assert 0 < scene.pending < ROWS
    scene.assert_all_in(scene.load())


def test_a_load_sees_one_moment(scene: Scene, database: Any) -> None:
    with scene.halted(5) as running:
        database.execute("UPDATE jobs SET body = 'other'; DELETE FROM jobs WHERE id % 2 = 0; ")
        database.execute("INSERT INTO jobs VALUES (1, 'new'), (40000, 'new')")
        scene.proxy.go_on()
        done = running.wait()
    scene.assert_all_in(done)


def test_a_stop_ends_the_query_at_the_database(scene: Scene, postgres: Postgres, database: Any) -> None:
    def runs() -> int:
        (found,) = database.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runqy-loader' AND wait_event = 'PgSleep'"
        ).fetchone()
        return int(found)

    hour = "select 1 as id, pg_sleep(3600)::text as hour order by id"
    scene.input_of([], "--sql", hour, "--from", postgres.url)
    with scene.beside() as running:
        running.until(runs, "the query runs")
        running.signal(signal.SIGINT)
        assert running.wait().status == 130
    assert not runs()


def test_a_stop_does_not_wait_for_a_database_that_stands_still(scene: Scene, postgres: Postgres, database: Any) -> None:
    slow = "select n as id, pg_sleep(0.001)::text as s from generate_series(1, 100000) n order by id"
    scene.input_of([], "--sql", slow, "--from", postgres.url)
    backends = "SELECT pid FROM pg_stat_activity WHERE application_name = 'runqy-loader' AND state = 'active'"
    with scene.beside() as running:
        running.until(lambda: len(database.execute(backends).fetchall()), "the query runs")
        ((pid,),) = database.execute(backends).fetchall()
        os.kill(pid, signal.SIGSTOP)
        try:
            running.signal(signal.SIGINT)
            assert running.wait().status == 130
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_stop_with_rows_that_nobody_has_taken_does_not_wait_for_the_others(scene: Scene, database: Any) -> None:
    sends = "SELECT pid FROM pg_stat_activity WHERE application_name = 'runqy-loader' AND wait_event = 'ClientWrite'"
    with scene.halted(1) as running:
        running.until(lambda: len(database.execute(sends).fetchall()), "the database waits until the load reads on")
        ((pid,),) = database.execute(sends).fetchall()
        os.kill(pid, signal.SIGSTOP)
        try:
            running.signal(signal.SIGINT)
            scene.proxy.go_on()
            assert running.wait().status == 130
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_stop_does_not_wait_for_a_host_that_says_nothing(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=100000"
        scene.input_of([], "--sql", QUERY, "--from", url)
        with scene.beside() as running, silent.accept()[0]:
            running.signal(signal.SIGINT)
            assert running.wait().status == 130


def test_a_stop_ends_the_statement_that_asks_for_columns(scene: Scene, postgres: Postgres, database: Any) -> None:
    waits = "SELECT pid FROM pg_stat_activity WHERE application_name = 'runqy-loader' AND wait_event_type = 'Lock'"
    with postgres.connect() as other, other.transaction(), scene.beside() as running:
        other.execute("LOCK TABLE jobs")
        running.until(lambda: len(database.execute(waits).fetchall()), "the load waits for the table")
        running.signal(signal.SIGINT)
        assert running.wait().status == 130
        assert not database.execute(waits).fetchall()


def test_a_stop_ends_a_query_of_sqlite_that_has_no_row_yet(scene: Scene) -> None:
    with closing(sqlite3.connect(scene.folder / "x.db")) as made:
        made.execute("PRAGMA user_version = 1")  # so that there is a file
    forever = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as id from n order by id"
    scene.input_of([], "--sql", forever, "--from", "sqlite:///x.db")
    with scene.beside() as running:
        opened = Path(f"/proc/{running.pid}/fd")
        running.until(lambda: "x.db" in {each.resolve().name for each in opened.iterdir()}, "the file is open")
        running.signal(signal.SIGINT)
        assert running.wait().status == 130


CHANGES = {
    "updated": ("UPDATE jobs SET body = 'other' WHERE id = 10", True),
    "put in before the place": ("INSERT INTO jobs VALUES (1, 'new')", True),
    "deleted before the place": ("DELETE FROM jobs WHERE id = 10", True),
    "updated behind the place": ("UPDATE jobs SET body = 'other' WHERE id = 30000", False),
    "added at the end": ("INSERT INTO jobs VALUES (40000, 'new')", False),
}


@pytest.mark.parametrize(("change", "is_told"), CHANGES.values(), ids=CHANGES.keys())
def test_rows_that_change_before_a_resume(scene: Scene, database: Any, change: str, is_told: bool) -> None:
    with scene.halted(9, "-w", "1") as running:
        running.kill()
    scene.proxy.go_on()
    database.execute(change)

    done = scene.load("-w", "1")

    if is_told:
        assert done.status == 1
        assert ": row 1: the 100 records from here on are not the ones that job j has loaded" in done.stderr
        assert done.report["loaded"] == 0
        assert scene.pending < ROWS
    else:
        now = database.execute("SELECT id, body FROM jobs ORDER BY id").fetchall()
        scene.lines = [f'{{"id":{number},"body":"{body}"}}'.encode() for number, body in now]
        scene.assert_all_in(done)
