"""What a database refuses, as errors with the same words whatever driver says it."""

from __future__ import annotations

from loader.errors import SourceError, UsageError
from loader.sources.sql.query import SqlQuery, without_secrets

GO_ON = "The same command goes on: it reads the query from its beginning, and compares what is in"


def refusal(query: SqlQuery, text: str, hint: str, row: int | None = None) -> SourceError:
    """The error for what a driver says.

    Args:
        row: The number of rows read so far, if there are any.
    """
    where = f"{query.shown_url}: " + (f"after row {row}: " if row else "")
    return SourceError(f"{where}{without_secrets(text, query.url)}", hint)


def no_columns() -> UsageError:
    return UsageError("--sql gives no columns", "Write a SELECT that has some")


def no_valid_url(kind: str, form: str) -> UsageError:
    """The error for ``--from``. What the driver says is not shown: it may hold a part of the password."""
    return UsageError(f"--from is no valid URL of {kind}", f"It is {form}; write special characters in it as %XX")
