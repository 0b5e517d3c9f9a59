"""Options of tables: what a manifest keeps of them, and the options that give the same again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from loader.cli.app import app
from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.settings.table_fields import table_flags, table_texts
from loader.settings.tables import TableOptions

ALL: dict[str, Any] = {
    "columns": 'a,"b,c",d',
    "no_header": True,
    "delimiter": "tab",
    "quote": "none",
    "escape": "\\",
    "csv_null": "",
    "csv_types": 'a:int,"b,c:json"',
    "nan": "string",
    "nulls": "omit",
}


def test_what_differs_from_the_defaults_is_recorded() -> None:
    assert TableOptions().recorded() == {}
    assert TableOptions(delimiter=";", csv_null="").recorded() == {"delimiter": ";", "csv_null": ""}


@pytest.mark.parametrize(
    "given", [{}, ALL, *({name: value} for name, value in ALL.items() if name != "no_header")], ids=str
)
def test_a_record_gives_the_same_options_again(given: dict[str, Any]) -> None:
    tables = LoadOptions(queue="q", **given).tables
    again = TableOptions.of_record(json.loads(json.dumps(tables.recorded())))
    assert again == tables
    assert LoadOptions(queue="q", **table_texts(again)).tables == tables  # type: ignore[arg-type]


def test_a_record_gives_the_words_of_a_command_line() -> None:
    tables = LoadOptions(queue="q", **ALL).tables
    flags = table_flags(tables)
    assert flags == [
        *("--no-header", "--csv-null", "", "--nan", "string", "--nulls", "omit", "--quote", "none"),
        *("--delimiter", "tab", "--escape", "\\", "--columns", 'a,"b,c",d', "--csv-types", 'a:int,"b,c:json"'),
    ]
    _, command, _ = app().resolve_command(app().make_context("runqy-loader", ["load", "x"]), ["load"])
    assert command is not None
    found = command.make_context("load", ["x", *flags]).params
    assert {name: found[name] for name in ALL} == ALL


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"delimiter": ""}, "--delimiter must not be empty"),
        ({"delimiter": "ab"}, "--delimiter must be one character, or tab"),
        ({"delimiter": "\n"}, "--delimiter must be one character, or tab"),
        ({"delimiter": '"'}, "must be different characters"),
        ({"quote": "'", "escape": "'"}, "must be different characters"),
        ({"delimiter": "none"}, "must be different characters"),
        ({"no_header": True}, "--no-header needs --columns"),
        ({"columns": "a,b,a"}, "--columns names 'a' twice"),
        ({"columns": 'a\n"b'}, "--columns must be names with commas"),
        ({"csv_types": "a:float"}, "--csv-types 'a:float' is not of the form NAME:TYPE"),
        ({"nan": "nan"}, "--nan must be one of 'null', 'string', 'reject'"),
    ],
)
def test_what_cannot_be_is_told(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        LoadOptions(queue="q", **given).check()
    assert told in str(caught.value)
