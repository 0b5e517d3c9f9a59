"""Every option of a comparison beside those of the load that it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from zlib import crc32

from loader.outputs.names import JSON_LINES
from loader.settings.check import check_declared
from loader.settings.option import Option
from loader.settings.share import share_of, share_problem
from loader.settings.values import convert_values

_GROUP = "Comparison"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """Options of a comparison. Field names are the long options of the command line with underscores."""

    compare: Annotated[
        str | None,
        Option(
            help="Compare only this share of the batches, such as 1%; the same ones each time. The pending lists are "
            "not read then.",
            group=_GROUP,
            unit="SHARE",
            rule=share_problem,
            default_text="all",
        ),
    ] = None
    undrained: Annotated[
        bool,
        Option(
            help="No worker has taken tasks since the load: a task that is gone is a difference, not a finished task.",
            group=_GROUP,
        ),
    ] = False
    differences: Annotated[
        Path | None,
        Option(
            help="Write each difference to this file, as JSON lines; '-' for standard output.",
            group=_GROUP,
            unit="FILE",
            writes=JSON_LINES,
        ),
    ] = None

    def __post_init__(self) -> None:
        convert_values(self)

    def check(self) -> None:
        """Raises UsageError if a value is not what its option takes."""
        check_declared(self)

    @property
    def share(self) -> float:
        """The share of the batches to compare, above 0 and at most 1."""
        return share_of(self.compare)


def is_chosen(shard: int, batch: int, share: float) -> bool:
    """Whether a batch belongs to a sample: the same ones each time.

    Args:
        share: See ``VerifyOptions.share``.
    """
    return crc32(b"%d %d" % (shard, batch)) < share * 2**32
