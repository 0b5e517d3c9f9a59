"""The input of a load: paths, or the query that its options give."""

from __future__ import annotations

from typing import TypeVar

from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.sources.sql.query import SqlQuery

Given = TypeVar("Given")


def input_of(options: LoadOptions, given: Given) -> Given | SqlQuery:
    """The query of the options, or else what is given.

    Raises:
        UsageError: Both are given, or the file of the statement cannot be read.
    """
    statement = options.statement
    if statement is None:
        return given
    if given is not None and given != () and given != []:
        raise UsageError("--sql and other input contradict each other", "Load them one after the other")
    assert options.from_ is not None  # noqa: S101 - see SqlFields.statement
    return SqlQuery(statement, options.from_, options.sql_key)
