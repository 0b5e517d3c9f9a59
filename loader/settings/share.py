"""Options whose value is a share of something: ``1%``."""

from __future__ import annotations

import re

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%", re.ASCII)


def share_problem(text: str) -> str | None:
    """What is wrong with a share; None if it is one. A ``Rule`` of an option."""
    found = _PERCENT.fullmatch(text)
    if found is None or not 0 < float(found[1]) <= 100:
        return "must be a share such as 1%, above 0% and at most 100%"
    return None


def share_of(text: str | None) -> float:
    """The share as a number above 0 and at most 1; 1 if the option is not given."""
    found = None if text is None else _PERCENT.fullmatch(text)
    return 1.0 if found is None else float(found[1]) / 100
