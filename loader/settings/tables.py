"""How the rows of tables become JSON objects: the values of the options in ``table_fields``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

NanMode = Literal["null", "string", "reject"]
NullMode = Literal["keep", "omit"]
CsvType = Literal["text", "int", "number", "bool", "json"]

CSV_TYPES: tuple[CsvType, ...] = ("text", "int", "number", "bool", "json")


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How rows become objects. The defaults are those of the options.

    Attributes:
        columns: Names of the columns, in order, in place of those that the input has; empty for those.
        delimiter: The character between fields of CSV; '' to tell it from the first line.
        quote: The character around fields of CSV; '' for none.
        escape: The character before one that is meant literally; '' for none.
        no_header: Whether the first row of CSV is a record.
        csv_null: The text of fields that are null; None if no field is.
        csv_types: Names of columns of CSV that are not text, with their types.
        nan: What NaN and infinities of tables with types become.
        nulls: Whether members whose value is null are kept.
    """

    columns: tuple[str, ...] = ()
    delimiter: str = ""
    quote: str = '"'
    escape: str = ""
    no_header: bool = False
    csv_null: str | None = None
    csv_types: tuple[tuple[str, CsvType], ...] = ()
    nan: NanMode = "null"
    nulls: NullMode = "keep"

    def recorded(self) -> dict[str, Any]:
        """What differs from the defaults, for the manifest of a job. All of it changes payloads."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) != one.default}

    @classmethod
    def of_record(cls, recorded: dict[str, Any]) -> TableOptions:
        """The options of which a manifest has ``recorded()``."""
        lists = {name: tuple(recorded[name]) for name in ("columns",) if name in recorded}
        if "csv_types" in recorded:
            lists["csv_types"] = tuple((name, kind) for name, kind in recorded["csv_types"])
        return cls(**{**recorded, **lists})


DEFAULT_TABLES = TableOptions()
