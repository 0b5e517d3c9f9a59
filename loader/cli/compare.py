"""``runqy-loader compare``."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from loader.cli.commands import ALL, Command
from loader.cli.output import print_json
from loader.cli.report_options import JsonOptions
from loader.cli.stderr import for_terminal, tell
from loader.errors import UsageError
from loader.reports.options import CompareOptions

if TYPE_CHECKING:
    from loader.reports.comparison import Change, Comparison

_CONDITION_MET = 4


def compare(paths: tuple[str, ...], options: CompareOptions, shown: JsonOptions) -> int:
    """Compares the reports of two loads: what changed, and what of it is more than noise.

    Each of the two is a file that load --report has written, or a folder with the reports of several runs of the same
    load. With one run of each, noise is judged within the runs, if they were made with --series. With five or more,
    it is judged between runs, which says most.
    """
    from loader.reports.comparison import compare as compared
    from loader.reports.conditions import Condition
    from loader.reports.read import read_side

    gc.enable()  # main() has turned it off
    if len(paths) != 2:
        raise UsageError("compare needs two reports", "Name two files of load --report, or two folders with such files")
    options.check()
    conditions = [Condition.parse(text, of_changes=True) for text in options.fail_if]
    found = compared(read_side(Path(paths[0])), read_side(Path(paths[1])), conditions)
    if shown.json:
        print_json(found.to_dict())
    else:
        _print(found)
    for line in found.failed_conditions:
        tell(f"runqy-loader: --fail-if {line}", level="warning", event="condition")
    return _CONDITION_MET if found.failed_conditions else 0


def _print(found: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout is not None and sys.stdout.isatty() else 100)
    table = Table(box=None, pad_edge=False)
    table.add_column("figure", no_wrap=True)
    for title in ("before", "after", "change"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("beyond noise?", overflow="fold")
    for one in found.changes:
        style = "" if not one.judgement.beyond else "green" if _is_better(one) else "bold red"
        change = "" if one.change is None else f"{100 * one.change:+.1f}%"
        values = (one.figure.text(one.before), one.figure.text(one.after), change, _judged(one))
        table.add_row(one.figure.name, *(Text(value, style=style) for value in values))
    console.print(table)
    for line in _remarks(found):
        console.print(Text(for_terminal(line)))
    if found.differences:
        console.print("\nwhat else differs:", markup=False)
        for line in found.differences:
            console.print(Text(f"  {for_terminal(line)}"))


def _is_better(one: Change) -> bool:
    return (one.after < one.before) == one.figure.low_is_good


def _judged(one: Change) -> str:
    found = one.judgement
    if found.beyond is None:
        return f"not known: {found.by}"
    word = "no" if not found.beyond else "yes, better" if _is_better(one) else "yes, worse"
    if found.p is not None:
        return f"{word} (p = {found.p:.3g})"
    if found.low is None or found.high is None:
        return word
    return f"{word} ({100 * found.low:+.1f}% to {100 * found.high:+.1f}%)"


def _remarks(found: Comparison) -> list[str]:
    """What the judgements mean."""
    if max(found.runs) > 1:
        return [f"\nmeans of {found.runs[0]} and {found.runs[1]} runs; p by a permutation test of the runs, at 1%"]
    by = sorted({one.judgement.by for one in found.changes if one.judgement.low is not None})
    if not by and any(one.judgement.beyond is None for one in found.changes):
        return ["\nload for longer, with --series, or compare folders with five runs of each: then noise is known"]
    if not by:
        return ["\nthe figures are the same"]
    return [
        f"\njudged at 1% within each run, by its {' and by its '.join(by)}",
        "what differs from run to run (the machine, other users of it) is not in this: five runs of each would show it",
    ]


COMMAND = Command(
    run=compare,
    options=(CompareOptions, JsonOptions),
    argument="Two reports, or two folders with the reports of several runs.",
    usage="BEFORE AFTER [OPTIONS]",
    exit_status="Exit status: 0 compared, whatever has changed; 1 failed; 2 usage; 4 a condition of --fail-if is met.",
    own_variables=ALL,
)
