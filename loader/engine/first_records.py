"""Judges the first records of a load: if most of them are bad, the input is not what it should be."""

from __future__ import annotations

from dataclasses import dataclass

from loader.errors import RejectStormError, TooManyRejectsError
from loader.jobs.report import LoadReport
from loader.settings.error_limit import FIRST_RECORDS, ErrorLimit

FEWEST = 20
"""A load of fewer records is never stopped for their share, unless ``--max-errors`` gives one: with a few records,
one or two bad ones are no sign of a wrong input, and all of them are on the screen at the end anyway."""

HELD_BYTES = 16 * 1024 * 1024
"""Records of more bytes than this are not held back, so that memory stays flat."""

_STORM_PERCENT = 50.0


@dataclass(frozen=True, slots=True)
class Earlier:
    """What parts of a load have read before this one that had too few records to be judged.

    Attributes:
        read, bad: As ``FirstRecords`` has counted.
        is_last: Whether no other part follows this one.
    """

    read: int = 0
    bad: int = 0
    is_last: bool = True


class FirstRecords:
    """Counts the first records until they are judged.

    Args:
        limit: The share that is allowed. Without a limit, this is a half.

    Attributes:
        read: Records counted.
        bad: Bad ones among them.
        held: Bytes of the records that are held back.
    """

    def __init__(self, limit: ErrorLimit) -> None:
        self._given = limit.percent is not None
        self._percent = _STORM_PERCENT if limit.percent is None else limit.percent
        self.read = self.bad = self.held = 0

    @staticmethod
    def are_judged(limit: ErrorLimit) -> bool:
        """Whether this limit needs a judgement of the first records."""
        return limit.percent is not None or not limit.text

    def count(self, read: int, bad: int, size: int) -> None:
        """Counts the records of a batch, of ``size`` bytes."""
        self.read += read
        self.bad += bad
        self.held += size

    def are_too_bad(self) -> bool:
        """Whether the share of bad records is over the limit."""
        return 100 * self.bad > self._percent * self.read

    def is_storm(self, *, all_read: bool = False) -> bool:
        """Whether it is certain that too many of the first records are bad.

        Args:
            all_read: Whether there are no more.
        """
        if not self.are_too_bad():
            return False
        is_enough = self._given or self.read >= FEWEST
        if self.read >= FIRST_RECORDS or 100 * self.bad > self._percent * FIRST_RECORDS:
            return True
        return is_enough and (all_read or (self.held > HELD_BYTES and not self._given))

    def are_fine(self) -> bool:
        """Whether it is certain that not too many of the first records are bad."""
        good = self.read - self.bad
        return self.read >= FIRST_RECORDS or 100 * good >= (100 - self._percent) * FIRST_RECORDS


def storm_text(report: LoadReport, first: FirstRecords, limit: ErrorLimit, *, all_read: bool) -> str:
    """What is wrong, with the most frequent reason."""
    bad = "all" if first.bad == first.read else f"{first.bad:,}"
    if all_read:
        text = f"{bad if bad == 'all' else f'{bad} of'} {first.read:,} records are bad"
    else:
        text = f"{bad} of the first {first.read:,} records are bad"
    if limit.text:
        text += f", more than --max-errors {limit.text}"
    for _, example in report.kinds.most_frequent(1):
        text += f", most often like {example.place}: {example.why.text}"
    return text


def storm_error(
    report: LoadReport, first: FirstRecords, limit: ErrorLimit, *, all_read: bool, loaded: bool
) -> TooManyRejectsError:
    """The error that ends the load.

    Args:
        loaded: Whether something of this load may be in already.
    """
    hints = [example.why.hint for _, example in report.kinds.most_frequent(1) if example.why.hint]
    more = "--max-errors none" if not limit.text else "a higher --max-errors"
    hint = ". ".join([*hints, f"--dry-run finds all bad records; {more} loads the good ones"])
    text = storm_text(report, first, limit, all_read=all_read)
    if loaded:
        return TooManyRejectsError(text, hint)
    nothing = "nothing more" if report.resumed else "nothing"  # an earlier run may have loaded something
    return RejectStormError(f"{nothing} was loaded: {text}", hint)


def too_many(report: LoadReport, limit: ErrorLimit, reject: str, by: str = "") -> TooManyRejectsError:
    """The error for a limit that is exceeded during the load.

    Args:
        reject: Place and reason of a rejected record.
        by: Who has counted, for the message.
    """
    hint = "Raise --max-errors to go on: bad records are set aside, to be corrected and loaded separately"
    if limit.count is None:
        figures = (
            f"{report.rejected:,} of {report.records_read:,} records rejected, more than --max-errors {limit.text}"
        )
        return TooManyRejectsError(f"{reject}; {figures}", hint)
    plural = "" if limit.count == 1 else "s"
    return TooManyRejectsError(f"{reject}; more than --max-errors {limit.text} record{plural} rejected{by}", hint)
