"""What psycopg's errors mean, and what to do about them."""

from __future__ import annotations

import psycopg

from loader.errors import SourceError
from loader.sources.sql.query import SqlQuery, without_secrets
from loader.sources.sql.refusal import GO_ON, refusal

_PASSWORD = "Give the password in a file: ~/.pgpass, or a service file; or in the variable PGPASSWORD"  # noqa: S105

_OF_STATE = {
    "57014": "The server ended the query: raise statement_timeout for this user (ALTER ROLE … SET), then run it again",
    "25006": "--sql only reads: write a SELECT",
    "42501": "GRANT SELECT to the user of --from",
    "25P02": GO_ON,
    "22021": "A text of the database is not valid in its encoding: correct it, or leave the row out",
}
"""By SQLSTATE (PostgreSQL documentation, appendix A)."""

_OF_CLASS = {
    "08": GO_ON,
    "40": GO_ON,
    "57": GO_ON,
    "53": GO_ON,
    "42": "Correct --sql",
    "22": "Correct --sql, or leave the row out",
}
"""By the first two characters of SQLSTATE."""


def not_connected(query: SqlQuery, error: psycopg.Error) -> SourceError:
    """The error for a connection that cannot be made."""
    text = without_secrets(str(error), query.url).removeprefix("connection failed: ")
    text = text.partition(" Is the server running")[0]
    if "password" in text:
        hint = _PASSWORD
    elif "does not exist" in text:
        hint = "Correct --from, or create it"
    elif "timeout" in text or "refused" in text or "No such file" in text or "resolve" in text or "translate" in text:
        hint = "Check host and port of --from, and that the server runs"
    else:
        hint = "Check --from"
    return refusal(query, text, hint)


def refused(query: SqlQuery, error: psycopg.Error, row: int | None) -> SourceError:
    """The error for a statement that fails.

    Args:
        row: The number of rows read so far; None if it has not begun.
    """
    state = error.sqlstate or ""
    text = error.diag.message_primary or str(error)
    if state in _OF_STATE:
        hint = _OF_STATE[state]
    elif not state and isinstance(error, psycopg.OperationalError):
        hint = GO_ON
    else:
        hint = _OF_CLASS.get(state[:2], "Correct --sql" if row is None else GO_ON)
    text = text.partition("\n\tThis probably means")[0]
    if error.diag.message_hint and hint == "Correct --sql":
        hint += f" ({without_secrets(error.diag.message_hint, query.url).rstrip('.')})"
    position = error.diag.statement_position
    if position and row is None and "at or near" not in text:
        text += f" (at character {position} of --sql)"
    return refusal(query, text, hint, row)
