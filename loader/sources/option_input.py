"""The input of a load: paths, or the query or the template that its options give."""

from __future__ import annotations

from typing import TypeVar

from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.sources.generated.wanted import GeneratedRecords
from loader.sources.sql.query import SqlQuery

Given = TypeVar("Given")


def input_of(options: LoadOptions, given: Given) -> Given | SqlQuery | GeneratedRecords:
    """The query or the records of the options, or else what is given.

    Raises:
        UsageError: Both are given, or the file of the statement cannot be read.
    """
    if not options.is_query and options.generate is None:
        return given
    if given is not None and given != () and given != []:
        named = "--sql" if options.is_query else "--generate"
        raise UsageError(f"{named} and other input contradict each other", "Load them one after the other")
    if options.generate is not None:
        assert options.count is not None  # noqa: S101 - it is checked with the options
        return GeneratedRecords(options.generate, options.count, options.seed, options.first)
    statement = options.read_statement()
    assert statement is not None and options.from_ is not None  # noqa: S101, PT018 - see SqlFields.check_query
    return SqlQuery(statement, options.from_, options.sql_key)
