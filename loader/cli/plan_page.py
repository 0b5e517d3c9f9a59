"""A plan as text of 80 columns."""

from __future__ import annotations

import textwrap

from loader.cli.short_numbers import short_time
from loader.planning.figure import Figure, How, Plan
from loader.tasks.sizes import in_bytes

_WIDTH = 80
_LABEL = 25
_VALUE = 14
_HOURS = 3600.0

_MARKS: dict[How, str] = {
    "given": "",
    "measured": "measured",
    "interpolated": "interpolated",
    "extrapolated": "extrapolated",
    "calculated": "=",
}


def page(plan: Plan) -> str:
    """The whole plan. No line is longer than 80 columns."""
    lines: list[str] = []
    for section in plan.sections:
        lines += ["", section.title]
        for one in section.figures:
            lines += _figure(one)
    lines += ["", "Set on each server for the load"]
    for setting in plan.settings:
        value = f"'{setting.value}'" if " " in setting.value or not setting.value else setting.value
        lines += _wrapped(f"CONFIG SET {setting.name} {value}", "  ")
        lines += _wrapped(setting.why, "    ")
    for title, texts in (("Watch out", plan.warnings), ("To know", plan.notes)):
        lines += ["", title] if texts else []
        for text in texts:
            lines += _wrapped(text, "  - ", "    ")
    lines += ["", "Where measured figures are from"]
    for key, text in plan.sources.items():
        lines += _wrapped(text, f"  [{key}] ", "      ")
    return "\n".join(lines[1:]) + "\n"


def value_text(one: Figure) -> str:
    """A value with its unit."""
    value = one.value
    match one.unit:
        case "bytes":
            return in_bytes(value)
        case "bytes/s":
            return f"{in_bytes(value)}/s"
        case "tasks" | "tasks/s":
            return f"{value:,.0f}" + ("/s" if one.unit == "tasks/s" else "")
        case "us":
            return f"{value:,.2f} us"
        case "s":
            return short_time(value)
        case "%":
            return f"{value:.0f} %"
        case "h":
            return f"{value:,.1f} h"
        case "":
            return f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:,.1f}"


def _figure(one: Figure) -> list[str]:
    source = f" [{one.source}]" if one.source else ""
    basis = f"{_MARKS[one.how]}{source} {one.basis}".strip()
    begin = f"  {one.label:<{_LABEL}}{value_text(one):>{_VALUE}}  "
    first, *more = textwrap.wrap(basis, _WIDTH - len(begin)) or [""]
    return [f"{begin}{first}".rstrip(), *(" " * len(begin) + line for line in more)]


def _wrapped(text: str, first: str, rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=first, subsequent_indent=first if rest is None else rest, break_on_hyphens=False
    )
