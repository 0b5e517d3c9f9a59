"""The options of a load that decide how rows of CSV, Parquet and Arrow become payloads."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass
from typing import Annotated, cast

from loader.errors import UsageError
from loader.settings.load_tasks import TaskFields
from loader.settings.option import Option, flag_of
from loader.settings.tables import CSV_TYPES, CsvType, NanMode, NullMode, TableOptions

_TABLES = "Tables (CSV, Parquet, Arrow, rows of a query)"
_NAMED = {"tab": "\t", "\\t": "\t"}
_NONE = "none"


def _character_problem(value: str) -> str | None:
    """The problem of a delimiter, or of a character for quotes or escapes."""
    character = _NAMED.get(value, value)
    if value == _NONE or (len(character) == 1 and character not in "\r\n\0 "):
        return None
    return "must be one character, or tab"


def _list_problem(value: str) -> str | None:
    try:
        _names(value)
    except ValueError:
        return "must be names with commas between them, written as a line of CSV"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFields(TaskFields):
    """Options of tables; see docs/tables.md. ``tables`` has their values for the sources."""

    columns: Annotated[
        str | None,
        Option(
            help="Names of the columns, in order. They replace those in the header, or with --no-header they are all "
            "there are.",
            group=_TABLES,
            unit="NAME,…",
            rule=_list_problem,
            default_text="those of the input",
        ),
    ] = None
    no_header: Annotated[
        bool,
        Option(
            help="The first row of CSV is a record, and not the names of the columns: give --columns.", group=_TABLES
        ),
    ] = False
    delimiter: Annotated[
        str | None,
        Option(
            help="The character between the fields of CSV, or 'tab'.",
            group=_TABLES,
            unit="CHAR",
            rule=_character_problem,
            default_text="from a line sep=; or the first row: , ; tab or |",
        ),
    ] = None
    quote: Annotated[
        str,
        Option(
            help="The character around fields of CSV that hold delimiters, quotes or line feeds; 'none' if quotes mean "
            "nothing.",
            group=_TABLES,
            unit="CHAR",
            rule=_character_problem,
        ),
    ] = '"'
    escape: Annotated[
        str | None,
        Option(
            help="The character in CSV before one that means itself. Two quotes within quotes always mean one.",
            group=_TABLES,
            unit="CHAR",
            rule=_character_problem,
        ),
    ] = None
    csv_null: Annotated[
        str | None,
        Option(
            help="Fields of CSV with this text are null: '' for empty ones.",
            group=_TABLES,
            unit="TEXT",
            may_be_empty=True,
            default_text="all are text",
        ),
    ] = None
    csv_types: Annotated[
        str | None,
        Option(
            help="Columns of CSV that are not text: int, number, bool, or json. Their fields are written as they are; "
            "a row with a field that is none of its type is rejected.",
            group=_TABLES,
            unit="NAME:TYPE,…",
            rule=_list_problem,
            default_text="all are text",
        ),
    ] = None
    nan: Annotated[
        NanMode,
        Option(
            help="NaN and infinities in Parquet, Arrow and rows of a query become null, or text "
            '("NaN", "Infinity", "-Infinity"), or their row is rejected: JSON has no such numbers.',
            group=_TABLES,
        ),
    ] = "null"
    nulls: Annotated[
        NullMode,
        Option(help="Members of objects whose value is null are kept, or left out.", group=_TABLES),
    ] = "keep"

    @property
    def tables(self) -> TableOptions:
        """These options, as the sources take them.

        Raises:
            UsageError: They are not what they must be, or contradict each other.
        """
        delimiter, quote, escape = (_character(value) for value in (self.delimiter, self.quote, self.escape))
        characters = [character for character in (delimiter, quote, escape) if character]
        if len(characters) != len(set(characters)) or _NONE in (self.delimiter, self.escape):
            raise UsageError("--delimiter, --quote and --escape must be different characters")
        if self.no_header and self.columns is None:
            raise UsageError("--no-header needs --columns", "Give the names of the columns, in order")
        columns = () if self.columns is None else _names(self.columns)
        if twice := sorted({name for name in columns if columns.count(name) > 1}):
            raise UsageError(f"--columns names {twice[0]!r} twice", "A JSON object has each name once")
        return TableOptions(
            columns=columns,
            delimiter=delimiter,
            quote=quote,
            escape=escape,
            no_header=self.no_header,
            csv_null=self.csv_null,
            csv_types=() if self.csv_types is None else tuple(map(_typed, _names(self.csv_types))),
            nan=self.nan,
            nulls=self.nulls,
        )


def table_texts(recorded: TableOptions) -> dict[str, object]:
    """The options of ``TableFields`` that have these values: what ``tables`` was made from."""
    found: dict[str, object] = {"no_header": recorded.no_header, "csv_null": recorded.csv_null}
    found |= {"nan": recorded.nan, "nulls": recorded.nulls, "quote": recorded.quote or _NONE}
    found |= {"delimiter": recorded.delimiter or None, "escape": recorded.escape or None}
    types = [f"{name}:{kind}" for name, kind in recorded.csv_types]
    return found | {"columns": _line(recorded.columns), "csv_types": _line(types)}


def table_flags(recorded: TableOptions) -> list[str]:
    """The same as words of a command line, without those that are as they are by default."""
    words: list[str] = []
    default = table_texts(TableOptions())
    for name, value in table_texts(recorded).items():
        if value != default[name]:
            words += [flag_of(name)] if value is True else [flag_of(name), "tab" if value == "\t" else str(value)]
    return words


def _character(value: str | None) -> str:
    return "" if value is None or value == _NONE else _NAMED.get(value, value)


def _names(text: str) -> tuple[str, ...]:
    """The names in a line of CSV."""
    import csv  # few loads need it

    try:
        (row,) = csv.reader([text], strict=True)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return tuple(row)


def _line(names: object) -> str | None:
    """A line of CSV that has these names; None if there are none."""
    import csv
    import io

    file = io.StringIO()
    csv.writer(file, lineterminator="").writerow(list(cast("tuple[str, ...]", names)))
    return file.getvalue() or None


def _typed(text: str) -> tuple[str, CsvType]:
    name, colon, kind = text.rpartition(":")
    if not colon or kind not in CSV_TYPES:
        raise UsageError(f"--csv-types {text!r} is not of the form NAME:TYPE", f"TYPE is one of {', '.join(CSV_TYPES)}")
    return name, kind
