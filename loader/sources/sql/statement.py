"""Reads as much of a statement as must be known: that it is one query, and what its last ORDER BY names.

It is no parser of SQL. What it finds only chooses the columns to look at: whether they order the rows is checked with
every row (``order.py``), and whether the statement is valid is said by the database.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from loader.errors import UsageError

_FIRST = ("SELECT", "WITH", "VALUES", "TABLE")
_AFTER_ORDER = frozenset({"LIMIT", "OFFSET", "FETCH", "FOR", "INTO", "OPTION", "LOCK", "UNION", "EXCEPT", "INTERSECT"})
_PIECES = r"""
    (?P<space> \s+ | --[^\n]* )
  | (?P<comment> /\* )
  | (?P<text> [eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) | TEXT )
  | (?P<dollar> \$(?P<tag>[^\W\d]\w*)?\$ .*? \$(?P=tag)\$ | \$\$ .*? \$\$ )
  | (?P<quoted> "(?:[^"]|"")*" | `(?:[^`]|``)*`BRACKETS )
  | (?P<number> \d[\w.]* )
  | (?P<word> [^\W\d][\w$]* )
  | (?P<mark> . )
"""
_PLAIN_TEXT = r"'(?:[^']|'')*(?:'|\Z)"
_BACKSLASH_TEXT = r"""'(?:[^'\\]|\\.|'')*(?:'|\Z) | "(?:[^"\\]|\\.|"")*(?:"|\Z)"""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a statement that is no comment: ``text``, ``dollar``, ``quoted``, ``number``, ``word``, ``mark``, or
    ``group`` for all that stands between parentheses."""

    kind: str
    text: str
    inner: tuple[Piece, ...] = ()

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.upper() in words

    @property
    def name(self) -> str:
        """The name that it stands for, if it is one."""
        if self.kind != "quoted":
            return self.text
        mark = "]" if self.text[0] == "[" else self.text[0]
        return self.text[1:-1].replace(mark * 2, mark)


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One item of an order that names a column.

    Attributes:
        name: The column, or its number from 1 as digits.
        exact: Whether case matters, because the name is quoted.
        falls: Whether it is descending.
        column: Of ``table.column``, both names: it is a column of a table, and never an output column of that name.
    """

    name: str
    exact: bool = False
    falls: bool = False
    column: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a kind of database writes texts and names.

    Attributes:
        backslash: Whether texts have escapes by a backslash, and may stand in double quotes: MySQL's.
        brackets: Whether names may stand in brackets.
        nested_comments: Whether comments hold comments.
    """

    backslash: bool = False
    brackets: bool = False
    nested_comments: bool = True

    @classmethod
    def of(cls, scheme: str) -> Dialect:
        """That of a URL's scheme."""
        kind = scheme.partition("+")[0]
        nested = kind not in ("mysql", "mariadb", "oracle", "sqlite")
        return cls(kind in ("mysql", "mariadb"), kind in ("sqlite", "mssql"), nested)


@dataclass(frozen=True, slots=True)
class Select:
    """What is known of a query.

    Attributes:
        order: What its rows are ordered by; None for an item that is no column.
        columns: For each output column, the names of the column that it is (``table.column``); none for an expression.
            Empty if that is not certain: of several queries, or where a ``*`` stands for columns.
    """

    order: Sequence[OrderItem | None]
    columns: Sequence[tuple[str, ...]]


def select_of(statement: str, dialect: Dialect) -> Select:
    """Reads a statement.

    Raises:
        UsageError: The statement is not one query, or has no ORDER BY of its own.
    """
    pieces = pieces_of(statement, dialect)
    while pieces and pieces[-1].text == ";":
        pieces.pop()
    while len(pieces) == 1 and pieces[0].kind == "group":
        pieces = list(pieces[0].inner)
    if not pieces:
        raise UsageError("--sql has no statement", "Write a SELECT with an ORDER BY")
    if any(piece.text == ";" and piece.kind == "mark" for piece in pieces):
        raise UsageError("--sql has more than one statement", "Give one SELECT")
    if not pieces[0].is_word(*_FIRST) and pieces[0].kind != "group":
        raise UsageError(
            f"--sql begins with {pieces[0].text[:40]!r}: it must be one SELECT (or WITH, VALUES, TABLE)",
            "Only reading is possible",
        )
    by = [at for at in range(1, len(pieces)) if pieces[at].is_word("BY") and pieces[at - 1].is_word("ORDER")]
    if not by:
        raise UsageError(
            "--sql has no ORDER BY: without it, a database may give its rows in another order each time",
            "Add ORDER BY over columns that are unique, such as the primary key",
        )
    return Select(_items(pieces[by[-1] + 1 :]), _output_columns(pieces))


def key_items(text: str, dialect: Dialect) -> Sequence[OrderItem]:
    """The columns of ``--sql-key``.

    Raises:
        UsageError: It does not name columns.
    """
    found = _items(pieces_of(text, dialect))
    named = [item for item in found if item is not None]
    if not named or len(named) < len(found):
        raise UsageError(f"--sql-key must name output columns, such as 'day desc, id', not {text!r}")
    return named


def _items(pieces: Sequence[Piece]) -> list[OrderItem | None]:
    """The items of an order, up to what follows it."""
    end = next((at for at, piece in enumerate(pieces) if piece.is_word(*_AFTER_ORDER)), len(pieces))
    return [_item(each) for each in _between_commas(pieces[:end])]


def _between_commas(pieces: Sequence[Piece]) -> list[list[Piece]]:
    found: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.kind == "mark" and piece.text == ",":
            found.append([])
        else:
            found[-1].append(piece)
    return found


def _item(pieces: list[Piece]) -> OrderItem | None:
    if len(pieces) > 2 and pieces[-2].is_word("NULLS"):
        pieces = pieces[:-2]
    falls = bool(pieces) and pieces[-1].is_word("DESC")
    if pieces and pieces[-1].is_word("ASC", "DESC"):
        pieces = pieces[:-1]
    names = _column(pieces)
    only = pieces[-1] if pieces else None
    if only is not None and names:
        return OrderItem(only.name, only.kind == "quoted", falls, names if len(names) > 1 else ())
    if len(pieces) == 1 and pieces[0].kind == "number" and pieces[0].text.isdigit():
        return OrderItem(pieces[0].name, False, falls)
    return None


def _column(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """The names of ``column`` or ``table.column``, in lower case if not quoted; none for anything else."""
    names, dots = pieces[::2], pieces[1::2]
    if len(names) != len(dots) + 1 or any(dot.text != "." for dot in dots):
        return ()
    if any(name.kind not in ("word", "quoted") for name in names):
        return ()
    return tuple(name.name if name.kind == "quoted" else name.name.lower() for name in names)


def _output_columns(pieces: Sequence[Piece]) -> list[tuple[str, ...]]:
    """See ``Select.columns``."""
    begins = [at for at, piece in enumerate(pieces) if piece.is_word("SELECT")]
    if len(begins) != 1:
        return []
    begin = begins[0] + 1
    if begin < len(pieces) and pieces[begin].is_word("ALL", "DISTINCT"):
        begin += 1
    end = next((at for at in range(begin, len(pieces)) if pieces[at].is_word("FROM")), len(pieces))
    found = _between_commas(pieces[begin:end])
    if any(item[-1:] and item[-1].text == "*" for item in found):
        return []
    return [_column(_without_alias(item)) for item in found]


def _without_alias(pieces: list[Piece]) -> list[Piece]:
    if len(pieces) > 2 and pieces[-2].is_word("AS"):
        return pieces[:-2]
    if len(pieces) > 1 and pieces[-1].kind in ("word", "quoted") and pieces[-2].text != ".":
        return pieces[:-1]
    return pieces


def pieces_of(statement: str, dialect: Dialect) -> list[Piece]:
    """The pieces of a statement, with what is in parentheses as one piece each."""
    pattern = _PIECES.replace("TEXT", _BACKSLASH_TEXT if dialect.backslash else _PLAIN_TEXT)
    pattern = pattern.replace("BRACKETS", r" | \[[^\]]*\]" if dialect.brackets else "")
    match = re.compile(pattern, re.VERBOSE | re.DOTALL).match
    open_groups: list[list[Piece]] = [[]]
    at = 0
    while (found := match(statement, at)) is not None:
        at, kind, text = found.end(), found.lastgroup or "mark", found[0]
        if kind == "tag":
            kind = "dollar"
        if kind == "comment":
            at = _end_of_comment(statement, at, nests=dialect.nested_comments)
        elif dialect.backslash and text == "#":
            at = (statement.find("\n", at) + 1) or len(statement)
        elif text == "(":
            open_groups.append([])
        elif text == ")" and len(open_groups) > 1:
            inner = open_groups.pop()
            open_groups[-1].append(Piece("group", "(", tuple(inner)))
        elif kind != "space":
            open_groups[-1].append(Piece(kind, text))
    while len(open_groups) > 1:  # a parenthesis is not closed: the database will say so
        inner = open_groups.pop()
        open_groups[-1].append(Piece("group", "(", tuple(inner)))
    return open_groups[0]


def _end_of_comment(statement: str, at: int, *, nests: bool) -> int:
    """Where a comment ends: in PostgreSQL and SQL's standard, comments hold comments."""
    depth = 1
    while depth:
        found = re.compile(r"/\*|\*/").search(statement, at)
        if found is None:
            return len(statement)
        if found[0] == "*/" or nests:
            depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at
