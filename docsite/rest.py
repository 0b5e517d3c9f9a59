"""Pieces of reStructuredText and Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MARKS = re.compile(r"([\\*`|_])")
_PAGE = re.compile(r"docs/([\w-]+)\.md(?:#[\w-]+)?")


def escaped(text: str) -> str:
    """Text of a help in reStructuredText: as it is, but names of pages are links to them."""
    parts = re.split(f"({_PAGE.pattern.replace('(', '(?:', 1)})", text)
    return "".join(_link(part) if _PAGE.fullmatch(part) else _MARKS.sub(r"\\\1", part) for part in parts)


def _link(page: str) -> str:
    found = _PAGE.fullmatch(page)
    return page if found is None else f":doc:`/docs/{found[1]}`"


def heading(text: str, mark: str) -> str:
    """A heading, with its underline."""
    return f"{text}\n{mark * len(text)}\n"


def literal(text: str) -> str:
    """Text as code."""
    return f"``{text}``"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
