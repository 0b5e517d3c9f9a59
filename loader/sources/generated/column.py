"""Columns of JSON texts: the values of one place in the template for a block of records, and how they are put together.

Values are made column by column, because a call for each value of each record would take most of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import TypeAlias

import orjson

from loader.sources.generated.distribution import Distribution
from loader.sources.generated.draws import WORD, Draws

Column: TypeAlias = Callable[[Draws, Sequence[int]], Sequence[str]]
"""Makes texts for the records, or elements, with these numbers from 0."""


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one place.

    Attributes:
        column: Makes their texts.
        quoted: Whether the texts are what stands between the quotation marks of a JSON string. Else they are JSON.
    """

    column: Column
    quoted: bool = False

    def within_text(self) -> Values:
        """The same values as parts of a longer string."""
        column = self.column
        if self.quoted:
            return Values(column)
        return Values(lambda draws, numbers: [_bare(text) for text in column(draws, numbers)])


Part: TypeAlias = str | Values
"""A part of a JSON text: always the same, or made for each record."""


def _bare(text: str) -> str:
    if text[0] == '"':
        return text[1:-1]
    return orjson.dumps(text).decode()[1:-1] if text[0] in "[{" else text


def insides(texts: Sequence[str]) -> tuple[Sequence[str], bool]:
    """JSON texts, and False; if all are strings, what stands between their quotation marks, and True."""
    quoted = all(text[0] == '"' for text in texts)
    return ([text[1:-1] for text in texts] if quoted else texts), quoted


def joined(parts: Sequence[Part]) -> Column:
    """The parts, one after the other."""
    made = [part for part in parts if isinstance(part, Values)]
    if not made:
        text = "".join(part for part in parts if isinstance(part, str))
        return lambda _, numbers: [text] * len(numbers)
    form = "".join(map(_form, parts))
    if form == "%s":
        return made[0].column  # it is JSON already

    # Hot path: one formatting in C for each record.
    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        return [form % row for row in zip(*[one.column(draws, numbers) for one in made], strict=True)]

    return column


def _form(part: Part) -> str:
    if isinstance(part, str):
        return part.replace("%", "%%")
    return '"%s"' if part.quoted else "%s"


def sometimes(place: str, chance: float, column: Column, otherwise: str) -> Column:
    """The column's text with this chance, else another text."""
    limit = round(chance * WORD)

    def made(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        texts = column(draws, numbers)
        return [
            text if word < limit else otherwise
            for word, text in zip(draws.words(place, len(numbers)), texts, strict=True)
        ]

    return made


def one_object(members: Sequence[Column]) -> Column:
    """Objects of which members may be missing.

    Args:
        members: For each member, a comma, its name and its value; or nothing.
    """

    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        rows = zip(*[member(draws, numbers) for member in members], strict=True)
        return [f"{{{''.join(row)[1:]}}}" for row in rows]

    return column


def repeated(place: str, lengths: Distribution, element: Column) -> Column:
    """Arrays of so many elements. An element's number is its place in its array, from 0."""

    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        counts = lengths.whole(draws.words(place, len(numbers)))
        ends = list(accumulate(counts, initial=0))
        elements = element(draws, list(chain.from_iterable(map(range, counts))))
        return [f"[{','.join(elements[start:end])}]" for start, end in pairwise(ends)]

    return column


def one_of(pick: Callable[[Draws, int], Sequence[int]], columns: Sequence[Column]) -> Column:
    """One of several columns for each record.

    Args:
        pick: Which, for so many records.
    """

    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        made = [one(draws, numbers) for one in columns]
        return [made[which][at] for at, which in enumerate(pick(draws, len(numbers)))]

    return column
