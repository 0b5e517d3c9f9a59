"""The closing lines with the reasons of rejects, and examples."""

from __future__ import annotations

import textwrap
import unicodedata

from loader.jobs.reject_kinds import Example
from loader.jobs.report import RunReport
from loader.sources.base import printable
from loader.tasks.reasons import ReasonCode

_SHOWN = 5
_EXAMPLES = 3
_COLUMNS = 30
"""The column where counts end, in the closing lines of all commands."""

_WIDTH = 80
_INDENT = 6
_LONGEST_REASON = 3 * (_WIDTH - _INDENT)


def rejected_lines(report: RunReport, *, examples: bool = True) -> list[str]:
    """One line for each code, the most frequent first, with examples under it; none if nothing was rejected.

    There are examples of the most frequent kinds of rejects, and of each code at least one.
    """
    counted = report.most_rejected()
    lines: list[str] = []
    for code, count in counted[:_SHOWN]:
        lines.append(f"    {code} {count:>{_COLUMNS - 5 - len(code)},}  {code.meaning}")
        for number, example in _examples(report, code) if examples else ():
            lines += _example_lines(example, number if number < count else None)
    if len(counted) > _SHOWN:
        lines.append(f"    … and {len(counted) - _SHOWN} more")
    return lines


def _examples(report: RunReport, code: ReasonCode) -> list[tuple[int, Example]]:
    """Examples of rejects with a code."""
    every = report.kinds.most_frequent(len(report.kinds.counts))
    own = [(number, example) for number, example in every if example.why.code is code]
    return [one for one in own if one in every[:_EXAMPLES]] or own[:1]


def _example_lines(example: Example, count: int | None) -> list[str]:
    counted = "" if count is None else f"{count:,} like "
    text = example.why.text.removeprefix(f"{example.why.code.meaning}: ")
    described = example.place if text == example.why.code.meaning else f"{example.place}: {text}"
    described = cut(printable(f"{counted}{described}"), _LONGEST_REASON)
    lines = textwrap.wrap(described, _WIDTH - _INDENT, subsequent_indent="  ", break_on_hyphens=False)
    if example.record:
        lines.append(cut(f"  {example.record}", _WIDTH - _INDENT))
    return [" " * _INDENT + line for line in lines]


def cut(text: str, columns: int) -> str:
    """A text, cut to a number of columns of a terminal, and without what a terminal would obey."""
    kept, width = "", 0
    for char in text:
        shown = char if char.isprintable() else char.encode("unicode_escape").decode()
        wide = 2 if unicodedata.east_asian_width(char) in "WF" else len(shown)
        if width + wide > columns:
            while kept and width > columns - 1:
                width -= 2 if unicodedata.east_asian_width(kept[-1]) in "WF" else 1
                kept = kept[:-1]
            return f"{kept}…"
        kept, width = kept + shown, width + wide
    return kept
