"""Values of PostgreSQL as payloads: the table in docs/sql.md, and any values against what the server makes of them."""

from __future__ import annotations

import asyncio
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.api import Loader
from tests.integration.tool import Redis, Tool, assert_fine, payloads, rejects
from tests.postgres import Postgres

DOCS = Path(__file__).parents[2] / "docs" / "sql.md"


def rows_of_the_table() -> list[tuple[str, str]]:
    section = DOCS.read_text().partition("## Types: PostgreSQL")[2].partition("\n## ")[0]
    return re.findall(r"^\| .+ \| .+ \| `(.+)` \| `(.+)` \|$", section, re.MULTILINE)


def test_the_table_in_the_docs_is_read() -> None:
    assert len(rows_of_the_table()) == 21


@pytest.mark.parametrize(("value", "payload"), rows_of_the_table())
def test_values_become_what_the_docs_say(tool: Tool, db: Redis, postgres: Postgres, value: str, payload: str) -> None:
    done = tool.load("--sql", f"select {value} as v, 1 as id order by id", *where(postgres))
    assert_fine(done)
    assert payloads(db, "q.default") == [f'{{"v":{payload},"id":1}}'.encode()]


def where(postgres: Postgres) -> tuple[str, ...]:
    return ("--from", postgres.whole_url, "-q", "q", "-w", "1")


@pytest.mark.parametrize(
    "value",
    [
        "'infinity'::timestamptz",
        "'-infinity'::date",
        "'0044-03-15 BC'::date",
        "'10000-01-01'::timestamp",
        "'24:00'::time",
        "'12:00+00:19:32'::timetz",
        "array['infinity'::date]",
    ],
)
def test_what_rfc_3339_cannot_write_is_a_reject(tool: Tool, postgres: Postgres, value: str) -> None:
    done = tool.load("--sql", f"values (1, {value}), (2, {value}) order by 1", *where(postgres), "--max-errors", "none")
    assert done.status == 3, done.stderr
    first = rejects(tool, done)[0]
    assert (first["code"], first["place"]) == ("bad_value", "row 1")
    assert first["reason"].startswith("JSON has no value for ")


def test_each_bad_value_is_a_reject_of_its_own_row(tool: Tool, db: Redis, postgres: Postgres) -> None:
    """Rows come 20 at a time, and go on 1000 at a time."""
    bad = [1, 20, 21, 555, 1000, 1001, 1020, 1021, 1500]
    sql = (
        "select n as id, case when n = any(array BAD) then 'infinity'::date else '2026-11-28' end as d "
        "from generate_series(1, 1500) n order by id"
    ).replace("BAD", str(bad))
    done = tool.load("--sql", sql, *where(postgres), "--max-errors", "none", "-b", "700")
    assert done.status == 3, done.stderr
    assert [one["place"] for one in rejects(tool, done)] == [f"row {n}" for n in bad]
    good = [n for n in range(1, 1501) if n not in bad]
    assert payloads(db, "q.default") == [f'{{"id":{n},"d":"2026-11-28"}}'.encode() for n in good]


@pytest.mark.parametrize(
    ("nan", "expected"),
    [("null", "[null,null,null,null]"), ("string", '["NaN","Infinity","-Infinity","NaN"]')],
)
def test_numbers_that_json_does_not_have(tool: Tool, db: Redis, postgres: Postgres, nan: str, expected: str) -> None:
    sql = "select 1 as id, array['NaN', 'Infinity', '-Infinity', 'NaN']::float4[] as v order by id"
    assert_fine(tool.load("--sql", sql, *where(postgres), "--nan", nan))
    assert payloads(db, "q.default") == [f'{{"id":1,"v":{expected}}}'.encode()]


def test_arrays_of_enums_and_domains(tool: Tool, db: Redis, postgres: Postgres) -> None:
    with postgres.connect() as connection:
        connection.execute("DROP TYPE IF EXISTS mood CASCADE; DROP DOMAIN IF EXISTS cents CASCADE")
        connection.execute("CREATE TYPE mood AS ENUM ('so, so', 'good'); CREATE DOMAIN cents AS numeric(10,2)")
    sql = "select 1 as id, array['so, so', null, 'good']::mood[] as m, 1.5::cents as c order by id"
    assert_fine(tool.load("--sql", sql, *where(postgres)))
    assert payloads(db, "q.default") == [b'{"id":1,"m":["so, so",null,"good"],"c":1.50}']


def test_arrays_of_domains_over_arrays_are_nested(tool: Tool, db: Redis, postgres: Postgres) -> None:
    with postgres.connect() as connection:
        connection.execute("DROP DOMAIN IF EXISTS pairs, pair, tints; DROP TYPE IF EXISTS tint")
        connection.execute("CREATE TYPE tint AS ENUM ('r, g'); CREATE DOMAIN tints AS tint[]")
        connection.execute("CREATE DOMAIN pair AS int[]; CREATE DOMAIN pairs AS pair[]")
    sql = (
        "select 1 as id, '{1,2}'::int[] as i, array['{1,2}', null, '{3,null}']::pair[] as p, "
        "array['{\"{1,2}\"}']::pairs[] as q, array['{\"r, g\"}']::tints[] as t, "
        "'{4,5}'::pair as d order by id"
    )
    assert_fine(tool.load("--sql", sql, *where(postgres)))
    assert payloads(db, "q.default") == [
        b'{"id":1,"i":[1,2],"p":[[1,2],null,[3,null]],"q":[[[1,2]]],"t":[["r, g"]],"d":[4,5]}'
    ]


def test_what_becomes_null_is_left_out_as_null_is(tool: Tool, db: Redis, postgres: Postgres) -> None:
    sql = (
        "select 1 as id, null as n, 'null'::jsonb as b, ' null '::json as j, 'NaN'::float8 as f, "
        "'[null]'::jsonb as a, 'null' as t order by id"
    )
    assert_fine(tool.load("--sql", sql, *where(postgres), "--nulls", "omit"))
    assert payloads(db, "q.default") == [b'{"id":1,"a":[null],"t":"null"}']


def test_types_of_users_that_have_the_name_of_another_are_texts(tool: Tool, db: Redis, postgres: Postgres) -> None:
    with postgres.connect() as connection:
        connection.execute("DROP SCHEMA IF EXISTS own CASCADE; CREATE SCHEMA own")
        connection.execute("CREATE TYPE own.json AS ENUM ('a', '7'); CREATE TYPE own.int4 AS ENUM ('b')")
    sql = "values ('7'::own.json, array['a', '7']::own.json[], 'b'::own.int4) order by 1"
    assert_fine(tool.load("--sql", sql, "--columns", "j,a,i", *where(postgres)))
    assert payloads(db, "q.default") == [b'{"j":"7","a":["a","7"],"i":"b"}']


def test_settings_of_the_server_change_no_payload(tool: Tool, db: Redis, postgres: Postgres) -> None:
    odd = "-c timezone=Asia/Kolkata -c datestyle=SQL,DMY -c intervalstyle=sql_standard -c extra_float_digits=-10"
    sql = (
        "select 1 as id, '2026-11-28 12:00+00'::timestamptz as t, '2026-11-28'::date as d, "
        "'1 day'::interval as i, 0.1234567890123456::float8 as f, '\\x00'::bytea as b order by id"
    )
    env = {"PGOPTIONS": f"{odd} -c bytea_output=escape"}
    assert_fine(tool.load("--sql", sql, *where(postgres), env=env))
    assert payloads(db, "q.default") == [
        b'{"id":1,"t":"2026-11-28T12:00:00.000000Z","d":"2026-11-28","i":"P1D","f":0.1234567890123456,"b":"AA=="}'
    ]


# --- any values -------------------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ROW = st.fixed_dictionaries(
    {
        "t": st.none() | TEXT,
        "i": st.integers(-(2**63), 2**63 - 1),
        "n": st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=7, min_value=-(10**20)),
        "f": st.floats(allow_nan=False, allow_infinity=False),
        "b": st.binary(max_size=20),
        "j": JSON.map(json.dumps),
        "a": st.none() | st.lists(st.none() | TEXT, max_size=4),
        "m": st.datetimes(),
    }
)


@given(st.lists(ROW, min_size=1, max_size=5))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_are_those_that_the_server_has(postgres: Postgres, rows: list[dict[str, Any]]) -> None:
    """The oracle is the server: its own ``to_jsonb`` of text, numbers and arrays, and its casts to text."""
    with postgres.connect() as connection:
        connection.execute(
            "DROP TABLE IF EXISTS anything; CREATE TABLE anything (id serial primary key, t text, i int8, "
            "n numeric, f float8, b bytea, j json, a text[], m timestamp)"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO anything (t, i, n, f, b, j, a, m) "
                "VALUES (%(t)s, %(i)s, %(n)s, %(f)s, %(b)s, %(j)s, %(a)s, %(m)s)",
                rows,
            )
        wanted = connection.execute(
            "SELECT to_json(t)::text, i::text, n::text, f::text, encode(b, 'base64'), j::text, "
            "array_to_json(a)::text, to_char(m, 'YYYY-MM-DD\"T\"HH24:MI:SS.US') FROM anything ORDER BY id"
        ).fetchall()
    found = previewed(postgres, "select t, i, n, f, b, j, a, m, id from anything order by id")
    assert len(found) == len(rows)
    for payload, (t, i, n, f, b, j, a, m) in zip(found, wanted, strict=True):
        got = json.loads(payload, parse_float=Decimal, parse_int=Decimal)
        same = json.loads(
            f'{{"t":{t or "null"},"i":{i},"n":{n or "null"},"a":{a or "null"},"j":{j}}}',
            parse_float=Decimal,
            parse_int=Decimal,
        )
        assert {name: got[name] for name in same} == same
        assert j.encode() in payload
        assert (n or "null").encode() in payload
        assert float(got["f"]) == float(f)
        assert got["b"] == b.replace("\n", "")
        assert got["m"] == m


def previewed(postgres: Postgres, sql: str) -> list[bytes]:
    async def work() -> list[bytes]:
        async with Loader(sql=sql, from_=postgres.whole_url, queue="q", preview=100) as loader:
            report = await loader.load()
            return [task.payload for task in report.preview or ()]

    return asyncio.run(work())
