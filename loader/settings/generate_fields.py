"""The options of a load whose records are generated. docs/generate.md describes them."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from loader.settings.option import COUNT, Excludes, Needs, Option
from loader.settings.sql_fields import SqlFields

_GROUP = "Generated records (docs/generate.md)"
_NO_FILE = "Generated records are the input"

SEED = Option(
    help="Another number gives other records. The same number gives the same ones.",
    group=_GROUP,
    unit="NUMBER",
    at_least=0,
)
FIRST = Option(
    help="Number of the first record. Record 17 is the same whichever is the first.",
    group=_GROUP,
    unit="NUMBER",
    at_least=1,
)
RECORDS = Option(help="How many records.", group=_GROUP, unit=COUNT, at_least=1)
_OF_TEMPLATE = Needs("generate")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateFields(SqlFields):
    """Options of generated records."""

    generate: Annotated[
        Path | None,
        Option(
            help="Load records that are made from this template, a JSON document with placeholders such as "
            '"{{ int(1, 6) }}".',
            group=_GROUP,
            unit="TEMPLATE",
            goes_with=(
                Needs("count", hint="It says how many records to load"),
                *(Excludes(name, hint=_NO_FILE) for name in ("sql", "sql_file", "format", "skip_bad_files")),
            ),
        ),
    ] = None
    count: Annotated[int | None, RECORDS.but(goes_with=(_OF_TEMPLATE,))] = None
    seed: Annotated[int, SEED.but(goes_with=(_OF_TEMPLATE,))] = 1
    first: Annotated[int, FIRST.but(goes_with=(_OF_TEMPLATE,))] = 1

    @property
    def names_input(self) -> bool:
        """Whether options give the records: a query, or a template. Then there are no paths."""
        return self.is_query or self.generate is not None
