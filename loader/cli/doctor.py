"""``runqy-loader doctor``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from loader.cli.commands import Command
from loader.cli.load import format_names
from loader.cli.output import print_json
from loader.cli.report_options import JsonOptions
from loader.cli.stderr import for_terminal
from loader.settings import LoadOptions

if TYPE_CHECKING:
    from loader.preflight.checks import Level
    from loader.preflight.diagnosis import Diagnosis


def doctor(paths: tuple[str, ...], options: LoadOptions, shown: JsonOptions) -> int:
    """Checks a server before a load: version, role, rights, memory, persistence, clock, and the layout in use.

    It takes the options of load: in a command, replace 'load' by 'doctor'. Nothing is loaded.
    """
    # Imported here, so that --help does not wait for imports that only the checks need.
    from loader.cli.signals import run
    from loader.preflight.diagnosis import diagnose

    diagnosis = run(diagnose(options, paths))
    if shown.json:
        print_json(diagnosis.to_dict())
    elif sys.stdout is not None and sys.stdout.isatty():
        _print_table(diagnosis)
    else:
        _print_lines(diagnosis)
    return 1 if diagnosis.level == "error" else 0


def _print_lines(diagnosis: Diagnosis) -> None:
    lines = [f"{finding.level:<8} {finding.name:<12} {for_terminal(str(finding))}" for finding in diagnosis.findings]
    print("\n".join([*lines, _verdict(diagnosis.level)]))


def _print_table(diagnosis: Diagnosis) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    styles: dict[Level, str] = {"ok": "green", "unknown": "dim", "warning": "yellow", "error": "bold red"}
    queue = f", queue {diagnosis.queue}" if diagnosis.queue else ""
    table = Table(title=f"{diagnosis.server}{queue}, layout {diagnosis.layout}", title_justify="left", expand=False)
    for heading in ("", "check", "finding"):
        table.add_column(heading, no_wrap=heading != "finding")
    for finding in diagnosis.findings:
        text = Text(for_terminal(finding.text))
        if finding.hint:
            text.append(f"\n→ {for_terminal(finding.hint)}", style="bold" if finding.level == "error" else "")
        table.add_row(Text(finding.level, style=styles[finding.level]), finding.name, text)
    console = Console()
    console.print(table)
    console.print(Text(_verdict(diagnosis.level), style=styles[diagnosis.level]))


def _verdict(level: Level) -> str:
    verdicts: dict[Level, str] = {
        "ok": "ready to load",
        "unknown": "ready to load, but some checks gave no answer",
        "warning": "ready to load, but see the warnings",
        "error": "not ready: see the errors",
    }
    return verdicts[level]


COMMAND = Command(
    run=doctor,
    options=(LoadOptions, JsonOptions),
    argument="Input of the load. If it is given, the memory that the tasks need is estimated.",
    values={"format": format_names},
    usage="[PATH...] [--queue NAME] [OPTIONS]",
    exit_status="Exit status: 0 fine, or only warnings; 1 a load would fail; 2 usage.",
)
