"""The value of ``--only-between``: times of the day at which a load may go on."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

_TIME = r"([0-9]{1,2}):([0-9]{2})"
_WINDOW = re.compile(rf"{_TIME} ?- ?{_TIME}", re.ASCII)
_HOURS = re.compile(r"([0-9:, -]+)([A-Za-z].*)?", re.ASCII)
_DAY = 24 * 60
_MINUTE = 60
_LOOKED_AHEAD = 4 * _DAY
"""Minutes. Where a change of the clock leaves a window out, the next day has it."""

_FORM = "must be hours such as 22:00-06:00, several with a comma between them, and a time zone behind them if wanted"


@dataclass(frozen=True, slots=True)
class Hours:
    """Windows of the day, by the clock on the wall.

    What that clock shows decides. So where it is put forward, a window may be shorter that day or missing; where it is
    put back, an hour that comes twice is open twice.

    Attributes:
        text: The windows and the time zone as they were given.
        windows: Minutes of the day, each with its first minute and the one after its last. A window whose end is not
            after its beginning goes over midnight.
        zone: The time zone; None for that of this machine.
    """

    text: str
    windows: tuple[tuple[int, int], ...]
    zone: ZoneInfo | None = None

    @classmethod
    def parse(cls, text: str) -> Hours:
        """The hours in text form: ``22:00-06:00``, ``12:00-13:00,22:00-06:00 Europe/Berlin``.

        Raises:
            ValueError: The text has another form, or names a time zone that is not known here.
        """
        found = _HOURS.fullmatch(text.strip())
        if found is None:
            raise ValueError(_FORM)
        windows = found[1].rstrip()
        return cls(text.strip(), tuple(_window(part.strip()) for part in windows.split(",")), _zone(found[2]))

    def is_open(self, moment: float) -> bool:
        """Whether a load may go on at this Unix time."""
        minute = self._minute(moment)
        return any(
            first <= minute < end if first < end else minute >= first or minute < end for first, end in self.windows
        )

    def opens_at(self, moment: float) -> float:
        """The first Unix time from this one on at which a load may go on, to the second."""
        if self.is_open(moment):
            return moment
        # Windows begin with whole minutes, and clocks are put forward and back by whole minutes. So each minute is
        # looked at: this finds what arithmetic with offsets from UTC finds only with a case for each kind of change.
        minute = int(moment) // _MINUTE * _MINUTE
        for number in range(1, _LOOKED_AHEAD):
            if self.is_open(minute + number * _MINUTE):
                return minute + number * _MINUTE
        raise ValueError(f"no moment within {self.text} in the next days")

    def shown(self, moment: float) -> str:
        """A Unix time as the clock on the wall shows it, with the time zone's short name."""
        at = datetime.fromtimestamp(moment, self.zone) if self.zone else datetime.fromtimestamp(moment).astimezone()
        return at.strftime("%Y-%m-%d %H:%M %Z").rstrip()

    def _minute(self, moment: float) -> int:
        if self.zone is None:
            local = time.localtime(moment)
            return local.tm_hour * 60 + local.tm_min
        at = datetime.fromtimestamp(moment, self.zone)
        return at.hour * 60 + at.minute


def hours_problem(text: str) -> str | None:
    """What is wrong with a value of ``--only-between``; None if nothing is. A ``Rule`` of the option."""
    try:
        Hours.parse(text)
    except ValueError as error:
        return str(error)
    return None


def _window(text: str) -> tuple[int, int]:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(_FORM)
    first, end = (_minutes(*found.group(at, at + 1)) for at in (1, 3))
    if first == _DAY:
        raise ValueError(f"{_FORM}: {text} begins after the last minute of the day")
    if first == end:
        raise ValueError(f"{_FORM}: {text} is empty")
    return first, end


def _minutes(hours: str, minutes: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > _DAY:
        raise ValueError(f"{_FORM}: there is no {hours}:{minutes}")
    return total


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    from zoneinfo import ZoneInfo  # only few loads name a zone

    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # not found, a name that is a path, a folder of the database
        raise ValueError(
            f"names a time zone that this machine does not know ({name}); write one such as Europe/Berlin"
        ) from None
