"""The placeholders: one function for each, by the name that templates use. docs/generate.md lists them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import accumulate, pairwise

from loader.sources.generated import words as made_up
from loader.sources.generated.arguments import (
    distribution,
    moment,
    number,
    share,
    text,
    truth,
    weights,
    whole,
)
from loader.sources.generated.call import Argument, Call, Literal
from loader.sources.generated.column import Values, insides
from loader.sources.generated.context import Context
from loader.sources.generated.distribution import Distribution, uniform_whole
from loader.sources.generated.draws import WORD, Draws
from loader.sources.generated.library import NAMES

_MOST_DECIMALS = 15
_FEW = 10_000
_ONE = Literal("1")
_HALF = Literal("0.5")
_FALSE = Literal("false")
_TWO_DECIMALS = Literal("2")
_ENGLISH = Literal('"en"')
_POOL = Literal("10000")
_VARIANTS = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def picker(place: str, shares: Sequence[Fraction]) -> Callable[[Draws, int], Sequence[int]]:
    """Picks one of several by their weights."""
    total = sum(shares)
    ends = [int(end * WORD / total) for end in accumulate(shares)]
    if len(set(shares)) == 1:
        count = len(shares)
        return lambda draws, n: [word * count >> 64 for word in draws.words(place, n)]
    return lambda draws, n: [bisect_right(ends, word) for word in draws.words(place, n)]


def _sequence(context: Context, start: Argument = _ONE, step: Argument = _ONE) -> Values:
    first, width = whole(start, "start"), whole(step, "step")
    return Values(lambda _, numbers: [str(first + width * one) for one in numbers])


def _uuid(context: Context) -> Values:
    place, variants = context.place, _VARIANTS

    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        digits = draws.bytes(place, 16 * len(numbers)).hex()
        found = [digits[at : at + 32] for at in range(0, len(digits), 32)]
        return [f"{x[:8]}-{x[8:12]}-4{x[13:16]}-{variants[x[16]]}{x[17:20]}-{x[20:]}" for x in found]

    return Values(column, quoted=True)


def _range(first: Argument, second: Argument | None) -> Distribution:
    """A distribution, or the numbers from one to another."""
    return distribution(first if second is None else Call("uniform", [first, second]))


def _int(context: Context, min: Argument, max: Argument | None = None) -> Values:
    place, made = context.place, _range(min, max)
    if max is not None and not made.is_whole:
        raise ValueError("min and max must be whole numbers")
    if max is not None and made.most - made.least < _FEW:
        # Hot path: of a few numbers, the texts are made once.
        texts = [str(one) for one in range(int(made.least), int(made.most) + 1)]
        count = len(texts)
        return Values(lambda draws, numbers: [texts[word * count >> 64] for word in draws.words(place, len(numbers))])
    return Values(lambda draws, numbers: list(map(str, made.whole(draws.words(place, len(numbers))))))


def _float(
    context: Context,
    min: Argument,
    max: Argument | None = None,
    *,
    decimals: Argument = _TWO_DECIMALS,
) -> Values:
    if max is not None:  # from 0 to 1 is not one of two whole numbers
        limits = [Literal(str(float(number(one, "a limit")))) for one in (min, max)]
        made = distribution(Call("uniform", limits))
    else:
        made = distribution(min)
    place, form = context.place, f"%.{whole(decimals, 'decimals', 0, _MOST_DECIMALS)}f"
    return Values(lambda draws, numbers: [form % value for value in made.numbers(draws.words(place, len(numbers)))])


def _bool(context: Context, p: Argument = _HALF) -> Values:
    place, limit = context.place, round(share(p, "p") * WORD)
    return Values(
        lambda draws, numbers: ["true" if word < limit else "false" for word in draws.words(place, len(numbers))]
    )


def _choice(context: Context, *values: Argument, weights: Argument | None = None) -> Values:
    texts = [_text_of(value) for value in values]
    if not texts:
        raise ValueError("give the values to choose from")
    shown, quoted = insides(texts)
    pick = picker(context.place, _weights(weights, len(texts)))
    return Values(lambda draws, numbers: [shown[which] for which in pick(draws, len(numbers))], quoted)


def _weights(given: Argument | None, count: int) -> Sequence[Fraction]:
    return [Fraction(1)] * count if given is None else weights(given, count)


def _text_of(value: Argument) -> str:
    if isinstance(value, Literal):
        return value.json
    raise ValueError(f"{value.name} stands where a value must be; {{{{ one_of(…) }}}} chooses between templates")


def _date(context: Context, first: Argument, last: Argument) -> Values:
    low, high = (moment(one, "a date").date().toordinal() for one in (first, last))
    if low > high:
        raise ValueError("the first date is after the last")
    place, days = context.place, uniform_whole(low, high)
    text_of = date.fromordinal
    return Values(
        lambda draws, numbers: [text_of(day).isoformat() for day in days.whole(draws.words(place, len(numbers)))],
        quoted=True,
    )


def _seconds(first: Argument, last: Argument) -> Distribution:
    low, high = (int(moment(one, "a time").timestamp()) for one in (first, last))
    if low > high:
        raise ValueError("the first time is after the last")
    return uniform_whole(low, high)


def _datetime(context: Context, first: Argument, last: Argument) -> Values:
    place, seconds = context.place, _seconds(first, last)
    text_of = datetime.fromtimestamp
    return Values(
        lambda draws, numbers: [
            f"{text_of(second, UTC).isoformat()[:19]}Z" for second in seconds.whole(draws.words(place, len(numbers)))
        ],
        quoted=True,
    )


def _timestamp(context: Context, first: Argument, last: Argument) -> Values:
    place, seconds = context.place, _seconds(first, last)
    return Values(lambda draws, numbers: list(map(str, seconds.whole(draws.words(place, len(numbers))))))


def _text(context: Context, length: Argument) -> Values:
    place, lengths = context.place, distribution(length, least=0)

    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        pool, starts = made_up.pool(draws.seed), made_up.starts(draws.seed)
        sizes = lengths.whole(draws.words(place, len(numbers)))
        count = len(starts)
        # Hot path: one slice for a text. Only texts beyond the pool need more of it than twice.
        source = (
            made_up.twice(draws.seed)
            if max(sizes, default=0) <= made_up.POOL
            else pool + f" {pool}" * (max(sizes) // made_up.POOL + 1)
        )
        begins = [starts[word * count >> 64] for word in draws.words(f"{place}@", len(numbers))]
        return [source[start : start + size] for start, size in zip(begins, sizes, strict=True)]

    return Values(column, quoted=True)


def _words(context: Context, count: Argument) -> Values:
    place, counts = context.place, distribution(count, least=0)

    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        pool, starts = made_up.pool(draws.seed), made_up.starts(draws.seed)
        wanted = counts.whole(draws.words(place, len(numbers)))
        most = len(starts) - 1
        found = []
        for word, many in zip(draws.words(f"{place}@", len(numbers)), wanted, strict=True):
            times, many = divmod(many, most)
            start = word * (most - many) >> 64
            texts = [pool[: starts[most] - 1]] * times
            if many:
                texts.append(pool[starts[start] : starts[start + many] - 1])
            found.append(" ".join(texts))
        return found

    return Values(column, quoted=True)


def _hex(context: Context, length: Argument) -> Values:
    place, lengths = context.place, distribution(length, least=0)

    def column(draws: Draws, numbers: Sequence[int]) -> Sequence[str]:
        ends = list(accumulate(lengths.whole(draws.words(place, len(numbers))), initial=0))
        digits = draws.bytes(f"{place}@", ends[-1] // 2 + 1).hex()
        return [digits[start:end] for start, end in pairwise(ends)]

    return Values(column, quoted=True)


def _row(context: Context, file: Argument, field: Argument, *, in_order: Argument = _FALSE) -> Values:
    name = text(file, "the file")
    values, quoted = context.files.column(name, text(field, "the field"))
    count = len(values)
    if truth(in_order, "in_order"):
        return Values(lambda _, numbers: [values[one % count] for one in numbers], quoted)
    # All fields of one file come from the same row: the place is that of the file, in this record or element.
    place = f"{context.scope}<{name}"
    return Values(
        lambda draws, numbers: [values[word * count >> 64] for word in draws.words(place, len(numbers))], quoted
    )


def _fake(
    context: Context,
    provider: Argument,
    *,
    locale: Argument = _ENGLISH,
    pool: Argument = _POOL,
) -> Values:
    return _of_library(context, text(provider, "the provider"), locale, pool)


def _of_library(context: Context, provider: str, locale: Argument, pool: Argument) -> Values:
    size = whole(pool, "pool", 1, 1_000_000)
    values, quoted = context.library.pool(provider, text(locale, "locale"), size, f"{context.seed}\0{provider}")
    place, count = context.place, len(values)
    return Values(
        lambda draws, numbers: [values[word * count >> 64] for word in draws.words(place, len(numbers))], quoted
    )


def _shorthand(provider: str) -> Callable[..., Values]:
    def builder(
        context: Context,
        *,
        locale: Argument = _ENGLISH,
        pool: Argument = _POOL,
    ) -> Values:
        return _of_library(context, provider, locale, pool)

    return builder


PLACEHOLDERS: Mapping[str, Callable[..., Values]] = {
    "sequence": _sequence,
    "uuid": _uuid,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "choice": _choice,
    "date": _date,
    "datetime": _datetime,
    "timestamp": _timestamp,
    "text": _text,
    "words": _words,
    "hex": _hex,
    "row": _row,
    "fake": _fake,
    **{name: _shorthand(provider) for name, provider in NAMES.items()},
}
"""By name. Each takes the context and the arguments of the call."""
