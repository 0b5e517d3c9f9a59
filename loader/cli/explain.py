"""``runqy-loader load --explain``."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from loader.cli.load_test_options import LoadTestOptions
from loader.cli.logins import without_logins
from loader.cli.output import print_json
from loader.cli.report_options import ReportOptions
from loader.cli.stderr import for_terminal
from loader.explanation.explanation import Explanation, WrittenKey
from loader.explanation.written import SHARD
from loader.settings import LoadOptions

_PIPE_WIDTH = 100
_NAME = 9
_ALIKE = 3


def explain(paths: tuple[str, ...], options: LoadOptions, reporting: ReportOptions, testing: LoadTestOptions) -> int:
    """Prints what the load would write. Returns the exit status."""
    from loader.cli.signals import run
    from loader.explanation.run import explain as explained

    reporting.display()
    options = testing.settle(options)
    files: dict[str, Path | None] = {"the page with charts": testing.html, "the JSON report": reporting.report_file}
    named = {holds: path for holds, path in files.items() if str(path) != "-"}
    found = run(explained(options, paths, named))
    if reporting.json:
        print_json(_without_logins(found.to_dict()))
    else:
        is_terminal = sys.stdout is not None and sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if is_terminal else _PIPE_WIDTH
        with open(1, "w", closefd=False, encoding="utf-8", errors="replace") as stdout:  # sys.stdout may be None
            stdout.writelines(f"{for_terminal(without_logins(line))}\n" for line in lines(found, width))
    return 0


def lines(found: Explanation, width: int) -> Iterator[str]:
    """The explanation as lines of text.

    Args:
        width: Of the terminal. Names of keys and files are never broken, so a line with one may be longer.
    """
    for part in found.parts:
        yield from _block(part.name, part.says, width)
    if not found.keys:
        yield from _block("keys", ["no key is written"], width)
    yield from _listed("keys", _keys(found.keys), width)
    yield from _listed("files", ((one.path, one.holds) for one in found.files), width)
    yield "Nothing is written yet. Without --explain, the same command loads."


def _keys(keys: Sequence[WrittenKey]) -> Iterator[tuple[str, str]]:
    """Each key, and what it holds. Of many keys that hold the same, such as one for each source, the first are told.

    The keys of the ledger are told as one, since they differ in their ends alone.
    """
    ledger = [one.key.rpartition(":")[2] for one in keys if SHARD in one.key]
    for holds, group in groupby(keys, lambda one: f"{one.type}: {one.holds}"):
        alike = list(group)
        if SHARD in alike[0].key:
            if ledger:
                yield f"{alike[0].key.rpartition(':')[0]}:…", f"the ledger, one bit for each batch: {', '.join(ledger)}"
            ledger = []
            continue
        yield from ((one.key, holds) for one in alike[:_ALIKE])
        if len(alike) > _ALIKE:
            yield f"… and {len(alike) - _ALIKE:,} more", holds


def _listed(name: str, rows: Iterable[tuple[str, str]], width: int) -> Iterator[str]:
    """Rows of a name and what it holds, each name on a line of its own."""
    title = name
    for what, holds in rows:
        yield f"{title:<{_NAME}} {what}"
        yield from _wrapped(holds, " " * (_NAME + 3), " " * (_NAME + 3), width)
        title = ""


def _block(name: str, says: Iterable[str], width: int) -> Iterator[str]:
    title = f"{name:<{_NAME}} "
    for sentence in says:
        yield from _wrapped(sentence, title, " " * (_NAME + 1), width)
        title = " " * (_NAME + 1)


def _wrapped(text: str, first: str, rest: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(40, width),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def _without_logins(value: Any) -> Any:
    if isinstance(value, str):
        return without_logins(value)
    if isinstance(value, list):
        return [_without_logins(one) for one in value]
    return {name: _without_logins(one) for name, one in value.items()} if isinstance(value, dict) else value
