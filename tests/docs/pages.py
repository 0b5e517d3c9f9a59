"""Commands and outputs in the fenced blocks of a page."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STATUS = re.compile(r"<!-- exit status: (\d+) -->\n$")
_ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>", ")"}


@dataclass(frozen=True, slots=True)
class Step:
    """Commands of a page, and what they print.

    Attributes:
        line: The line of the page at which they begin.
        commands: For a shell.
        status: The exit status of the last one.
        output: What is told to follow; '' if nothing is told. ``…`` stands for anything in a line, or for any lines.
    """

    line: int
    commands: str
    status: int
    output: str


def steps(page: Path) -> list[Step]:
    """The blocks ``sh`` of a page, each with the block ``output`` that follows it."""
    text = page.read_text()
    found: list[Step] = []
    for fence in _FENCE.finditer(text):
        if fence[1] == "sh":
            status = _STATUS.search(text[: fence.start()])
            line = text[: fence.start()].count("\n") + 2
            found.append(Step(line, fence[2], int(status[1]) if status else 0, ""))
        elif fence[1] == "output":
            last = found.pop()
            assert not last.output, f"{page}: two outputs of one step"
            found.append(Step(last.line, last.commands, last.status, fence[2]))
    return found


def told(output: str) -> re.Pattern[str]:
    """Matches an output of which a page tells the lines; see ``Step.output``."""
    parts = []
    for line in output.splitlines():
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            words = ".*".join(map(re.escape, line.strip().split("…")))
            parts.append(re.sub(r"(?:\\ )+", " +", words).join((r" *", r"\n")))  # columns are as wide as need be
    return re.compile("".join(parts))


def tool_commands(page: Path) -> Iterator[list[str]]:
    """The words of each command ``runqy-loader …`` in the fenced blocks of a page."""
    for fence in _FENCE.finditer(page.read_text()):
        if fence[1] not in ("", "sh", "text"):
            continue
        for line in re.sub(r"\\\n", " ", fence[2]).splitlines():
            if re.search(r"(^|\| |\$ |=\S+ )runqy-loader ", line) and "…" not in line:
                words = _words(line)
                yield words[words.index("runqy-loader") + 1 :]


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.commenters = "#"
    lexer.whitespace_split = True
    words: list[str] = []
    for word in lexer:
        if word in _ENDS:
            if "runqy-loader" in words:
                break
            words.clear()
        else:
            words.append(word)
    return words
