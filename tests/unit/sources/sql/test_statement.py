"""What is read of a statement: that it is one query, and the columns of its last ORDER BY."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import UsageError
from loader.sources.sql.order import KeyColumn, key_of
from loader.sources.sql.query import SqlQuery
from loader.sources.sql.statement import Dialect, OrderItem, select_of

POSTGRES = Dialect.of("postgresql")
ID = OrderItem("id")


@pytest.mark.parametrize(
    ("statement", "order"),
    [
        ("select id from t order by id", [ID]),
        ("SELECT id FROM t\nORDER\nBY id ASC;\n", [ID]),
        ("select id from t order by id -- , x\n", [ID]),
        ("select id from t order /* , /* nested */ z */ by id limit 3 offset 1", [ID]),
        ("select id from t order by t.id desc nulls last for share", [OrderItem("id", falls=True, column=("t", "id"))]),
        (
            'select id from t order by s.t."Id", 2',
            [OrderItem("Id", exact=True, column=("s", "t", "Id")), OrderItem("2")],
        ),
        ("select 'order by x' as id from t order by id", [ID]),
        ("select $$ order by x; $$ as id from t order by id", [ID]),
        ("select $a$ $b$ ' $a$ as id from t order by id", [ID]),
        ("select E'it\\'s order by x' as id from t order by id", [ID]),
        ("select date'2026-01-01' d, rank() over (order by x) from t order by id", [ID]),
        ("with x as (select * from t order by z) select id from x order by id", [ID]),
        ("(select id from t) union (select id from s) order by id", [ID]),
        ("((select id from t order by id))", [ID]),
        ("values (1), (2) order by 1", [OrderItem("1")]),
        ("table t order by id", [ID]),
        ("select id from t order by lower(id), id", [None, ID]),
        ('select id from t order by id collate "C"', [None]),
        ("select id from t order by id + 1", [None]),
        ("select id from t order by id using >", [None]),
    ],
)
def test_the_order_of_the_whole_query_counts(statement: str, order: list[OrderItem | None]) -> None:
    assert select_of(statement, POSTGRES).order == order


@pytest.mark.parametrize(
    ("scheme", "statement"),
    [
        ("mysql+pymysql", "select `order by x` as id, 'it\\'s order by x' from t # order by y\norder by id"),
        ("mysql", 'select "it\\"s (" as a, "\\"; --" as b, id from t order by id'),
        ("mariadb", "select 'it\\'s (' as a, '\\\\' as b, id from t order by id"),
        ("mssql+pymssql", "select [order by x] from t order by id"),
        ("sqlite", "select [a'b] from t order by id"),
        ("sqlite", "select id from t /* a /* b */ order by id"),
    ],
)
def test_other_databases_write_names_and_texts_otherwise(scheme: str, statement: str) -> None:
    assert select_of(statement, Dialect.of(scheme)).order == [ID]


def test_a_text_in_double_quotes_is_no_column_of_mysql() -> None:
    assert select_of('select id from t order by "id"', Dialect.of("mysql")).order == [None]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("", "has no statement"),
        (" ; ", "has no statement"),
        ("select 1", "has no ORDER BY"),
        ("select * from (select id from t order by id) x", "has no ORDER BY"),
        ("select id from t order by id; select 2", "more than one statement"),
        ("update t set id = 1", "begins with 'update'"),
        ("explain select id from t order by id", "begins with 'explain'"),
        ("-- select\ncopy t to stdout", "begins with 'copy'"),
        ("/* select", "has no statement"),
        ("select 'order by x", "has no ORDER BY"),
    ],
)
def test_what_is_no_ordered_query_is_refused(statement: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        select_of(statement, POSTGRES)


HIDDEN = ["'{}'", '"{}"', "$$ {} $$", "$q$ {} $q$", "/* {} */", "-- {}\n", "({})", "/* /* {} */ */", "E'\\'{}'"]
SQL = st.sampled_from(["order by x", "; drop table t", "order  by", "(", "limit 1", "ORDER BY 1 DESC"])


@given(st.lists(st.tuples(st.sampled_from(HIDDEN), SQL), max_size=6), st.booleans())
def test_what_stands_in_texts_names_comments_and_parentheses_does_not_count(
    hidden: list[tuple[str, str]], falls: bool
) -> None:
    parts = [form.format(text if form != "({})" else text.replace("(", "")) for form, text in hidden]
    words = ["select id", *parts, "from t order by id desc" if falls else "from t order by id"]
    if parts and hidden[0][0].startswith(("/*", "--")):
        words.append(parts[0])
    statement = " ".join(words)
    assert select_of(statement, POSTGRES).order == [OrderItem("id", falls=falls)]


def found(statement: str, names: list[str], key: str | None = None) -> list[KeyColumn]:
    return key_of(SqlQuery(statement, "postgresql://h/d", key), select_of(statement, POSTGRES), names)


def test_the_key_is_the_columns_of_the_order() -> None:
    names = ["Day", "id", "x"]
    assert found("select … order by ID, 1 desc", names) == [KeyColumn(1, "id"), KeyColumn(0, "Day", falls=True)]
    assert found('select … order by "Day"', names) == [KeyColumn(0, "Day")]
    assert found("select … order by x + 1", names, "day desc, ID") == [KeyColumn(0, "Day", True), KeyColumn(1, "id")]


@pytest.mark.parametrize(
    ("statement", "key", "words"),
    [
        ("select … order by lower(x)", None, "an expression, so that its key is not known"),
        ("select … order by y", None, "ordered by y, which is no output column"),
        ('select … order by "day"', None, "ordered by day, which is no output column"),
        ("select … order by 4", None, "ordered by 4, which is no output column"),
        ("select … order by id", "y", "--sql-key names y, which is no output column"),
        ("select … order by id", "id +", "--sql-key must name output columns"),
        ("select … order by id", ",", "--sql-key must name output columns"),
        ("select …", "id", "has no ORDER BY"),
    ],
)
def test_a_key_that_is_not_known_is_told(statement: str, key: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        found(statement, ["Day", "id", "x"], key)
    assert "has no ORDER BY" in words or "must name" in words or "Day, id, x" in str(error.value)


@pytest.mark.parametrize(
    ("statement", "names", "index"),
    [
        ("select t.id, x from t order by t.id", ["id", "x"], 0),
        ("select x, t.id as id from t order by T.ID", ["x", "id"], 1),
        ("select distinct t.v id, a, t.id key from t order by t.id", ["id", "a", "key"], 2),
        ('select s.t."Id" from s.t order by s.t."Id" desc', ["Id"], 0),
        ("with x as (select 1 as id) select x.id from x order by x.id", ["id"], 0),
        ("select name as id from t order by t.id", ["id"], None),
        ("select * from t order by t.id", ["id"], None),
        ("select t.*, 1 as z from t order by t.id", ["id", "z"], None),
        ("select t.id from t union select s.id from s order by t.id", ["id"], None),
        ("select t.id + 1 as id from t order by t.id", ["id"], None),
    ],
)
def test_a_column_of_a_table_is_only_the_output_column_that_it_is(
    statement: str, names: list[str], index: int | None
) -> None:
    if index is None:
        with pytest.raises(UsageError, match=r"is ordered by .*, which is no output column.*Give --sql-key"):
            found(statement, names)
    else:
        assert [column.index for column in found(statement, names)] == [index]
