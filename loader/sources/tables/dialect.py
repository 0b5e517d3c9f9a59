"""How a file of CSV is written, as far as options or its first line tell."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from loader.settings.tables import TableOptions

_DELIMITERS = ",;\t|"
_BLANK = re.compile(r"(?:\r*\n)*(?:\r+\Z)?")
_SEP = re.compile(r"sep=([^\r\n\0\udc80-\udcff])\r?\n", re.IGNORECASE)
NAMES = {"\t": "tab", " ": "space"}


def sep_line(text: str, options: TableOptions) -> tuple[int, str]:
    """The length of the line ``sep=;`` that Excel writes and reads before the header, and what it says; 0 if there is
    none with a character that may be a delimiter."""
    found = _SEP.match(text)
    if found is None or found[1] in (options.quote, options.escape):
        return 0, ""
    return found.end(), found[1]


def blank_end(text: str, pos: int) -> int:
    """The end of the blank lines that begin at a position. The text ends with a line."""
    found = _BLANK.match(text, pos)
    return pos if found is None else found.end()


def delimiter_of(line: str, quote: str) -> str:
    """The delimiter that is most frequent in a line, outside of quotes; a comma if it has none."""
    if quote:
        line = re.sub(f"{re.escape(quote)}[^{re.escape(quote)}]*{re.escape(quote)}", "", line)
    return max(_DELIMITERS, key=line.count)  # the first of several


def reader_of(lines: Iterable[str], delimiter: str, options: TableOptions) -> Any:
    """Python's reader, with no leniency: what follows a closing quote is an error."""
    return csv.reader(
        lines,
        delimiter=delimiter,
        quotechar=options.quote or None,
        escapechar=options.escape or None,
        quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
        strict=True,
    )


@contextmanager
def long_fields() -> Iterator[None]:
    """Lets Python's reader take fields of any length. Its limit is one for the whole process, so it is put back."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)
