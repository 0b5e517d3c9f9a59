"""The options of a load whose records are rows of a query. docs/sql.md describes them."""

# Without "from __future__ import annotations": to make types of the texts again takes 2 ms of each start.
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from loader.errors import UsageError
from loader.settings.load_shape import ShapeFields
from loader.settings.option import Excludes, Needs, Option

_SQL = "Database (docs/sql.md)"
_NO_FILE = "The rows of the query are the input"
FROM_VARIABLE = "RUNQY_LOADER_FROM"


def from_variable(url: str) -> bool:
    """Whether a URL comes from the environment, where it may be meant for other commands."""
    return os.environ.get(FROM_VARIABLE) == url


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlFields(ShapeFields):
    """Options of queries."""

    sql: Annotated[
        str | None,
        Option(
            help="Load the rows of this SELECT from the database of --from; each becomes an object with its columns. "
            "It must have an ORDER BY over a unique key.",
            group=_SQL,
            unit="SELECT",
            goes_with=(
                Excludes("sql_file"),
                Excludes("format", hint=_NO_FILE),
                Excludes("skip_bad_files", hint=_NO_FILE),
            ),
        ),
    ] = None
    sql_file: Annotated[
        Path | None,
        Option(
            help="As --sql, with the statement in this file.",
            group=_SQL,
            unit="FILE",
            goes_with=(Excludes("format", hint=_NO_FILE), Excludes("skip_bad_files", hint=_NO_FILE)),
        ),
    ] = None
    sql_key: Annotated[
        str | None,
        Option(
            help="Output columns by which the rows are ordered and which are unique together, such as 'day desc, id'.",
            group=_SQL,
            unit="COLUMN,…",
            default_text="the columns of ORDER BY",
            goes_with=(Needs("sql", unless="sql_file"),),
        ),
    ] = None
    from_: Annotated[
        str | None,
        Option(
            help="Database: postgresql://, or a URL of SQLAlchemy, such as sqlite:///FILE. Leave the password out of "
            "it: process lists show it.",
            group=_SQL,
            unit="URL",
            env=(FROM_VARIABLE,),
        ),
    ] = None

    def check_query(self) -> None:
        """Raises UsageError if there is a query, and ``from_`` is no URL. The file of the statement is not read."""
        if self.is_query and self.from_ is None:
            option = "--sql" if self.sql is not None else "--sql-file"
            raise UsageError(f"{option} needs --from", f"Give the database, also by the variable {FROM_VARIABLE}")
        if self.is_query and self.from_ is not None and "://" not in self.from_:
            # It is not shown: it may hold a password.
            raise UsageError("--from must be a URL", "Such as postgresql://HOST/DATABASE or sqlite:///FILE")

    def read_statement(self) -> str | None:
        """The statement of ``sql`` or in ``sql_file``; None if there is no query. Call it once: the file may be a pipe.

        Raises:
            UsageError: The file cannot be read.
        """
        if self.sql_file is None:
            return self.sql
        try:
            return self.sql_file.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise UsageError(f"--sql-file {self.sql_file}: {error.strerror}", "Check the path") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"--sql-file {self.sql_file} is not UTF-8", "Write it as UTF-8") from error

    @property
    def is_query(self) -> bool:
        """Whether the records are rows of a query."""
        return self.sql is not None or self.sql_file is not None
