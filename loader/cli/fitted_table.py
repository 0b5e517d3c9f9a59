"""A table that fits the width of the terminal: columns of less use are left out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loader.cli.short_numbers import NOTHING

if TYPE_CHECKING:
    from rich.table import Table


_GAP = 2
_PIPE_WIDTH = 1000
"""Where no terminal is, nothing is left out."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        rank: 0 is always shown; of the others, those with the highest rank are left out first.
        style: rich's style of cells that hold more than 0.
        least: The width to which it may shrink, with an ellipsis; None if it may not.
    """

    header: str
    cells: Sequence[str]
    rank: int
    justify: Literal["left", "right"] = "right"
    style: str = ""
    least: int | None = None

    @property
    def width(self) -> int:
        """The width of its widest cell."""
        return max(map(len, (self.header, *self.cells)))

    @property
    def needs(self) -> int:
        """The least width."""
        return self.width if self.least is None else min(self.width, self.least)


def fitted(columns: Sequence[Column], width: int, gap: int) -> list[Column]:
    """The columns that fit into a width, in their order.

    Args:
        gap: The space between two columns.
    """
    kept = list(columns)
    while sum(one.needs + gap for one in kept) - gap > width:
        last = max(kept, key=lambda one: one.rank)
        if not last.rank:
            break
        kept.remove(last)
    return kept


def fitted_table(columns: Sequence[Column], width: int, gap: int) -> Table:
    """The table of the columns that fit; see ``fitted``."""
    from rich.table import Table
    from rich.text import Text

    kept = fitted(columns, width, gap)
    spare = width - (sum(one.needs + gap for one in kept) - gap)
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for one in kept:
        wide = one.needs + max(0, min(spare, one.width - one.needs))
        spare -= wide - one.needs
        table.add_column(one.header, justify=one.justify, no_wrap=True, overflow="ellipsis", width=max(1, wide))
    for cells in zip(*(one.cells for one in kept), strict=True):
        table.add_row(*(Text(cell, style=_style(cell, one)) for cell, one in zip(cells, kept, strict=True)))
    return table


def print_table(columns: Sequence[Column]) -> None:
    """Prints a table on standard output. On a terminal, columns of less use are left out until it fits.

    Names, in columns of rank 0, are always whole: one that is longer than the terminal goes on in its next line.
    """
    from rich.console import Console

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    width = Console().width if is_terminal else _PIPE_WIDTH
    needed = sum(one.needs + _GAP for one in fitted(columns, width, _GAP))
    Console(width=max(width, needed)).print(fitted_table(columns, width, _GAP), crop=False)


def _style(cell: str, column: Column) -> str:
    return "dim" if cell in ("0", NOTHING) else column.style
