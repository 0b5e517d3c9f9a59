"""Options whose value is a share of something: ``1%``."""

from __future__ import annotations

import re

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%", re.ASCII)


def percent_of(text: str) -> float | None:
    """The number before the percent sign; None if the text is no share."""
    found = _PERCENT.fullmatch(text)
    return None if found is None else float(found[1])


def share_problem(text: str) -> str | None:
    """What is wrong with a share; None if it is one. A ``Rule`` of an option."""
    percent = percent_of(text)
    if percent is None or not 0 < percent <= 100:
        return "must be a share such as 1%, above 0% and at most 100%"
    return None


def share_of(text: str | None) -> float:
    """The share as a number above 0 and at most 1; 1 if the option is not given."""
    percent = None if text is None else percent_of(text)
    return 1.0 if percent is None else percent / 100
