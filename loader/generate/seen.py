"""What is learnt of the values at one place of the records of a sample, and the template that makes such values."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from loader.generate.rounded import quantile_texts

_MOST_NAMES = 200
"""Names of members of one object. If there are more, most likely they are data."""

_FEWEST = 0.01
"""A member is in at least this share of the objects. Rarer names are left out."""

_RISING = 10
"""Whole numbers that rise by the same step are a sequence, if there are so many."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-f]{8,}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_FORMS = {"uuid": _UUID, "datetime": _TIME, "date": _DATE, "hex": _HEX}


@dataclass(slots=True)
class Seen:
    """The values at one place.

    Attributes:
        kinds: How many values there are of each kind.
        forms: Of the texts, how many have a form that is known.
        lengths: Of texts: bytes as JSON, without quotation marks.
        days: The dates of texts that are dates or times.
        decimals: Of numbers with a fraction: the digits of it.
        counts: Of arrays: the number of elements.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    trues: int = 0
    whole: list[int] = field(default_factory=list)
    broken: list[float] = field(default_factory=list)
    decimals: Counter[int] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)
    days: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    element: Seen | None = None
    members: dict[str, Seen] = field(default_factory=dict)
    left_out: int = 0

    def add(self, value: Any) -> None:
        """Adds a value: as ``loader.shaping.number_text.read`` gives it."""
        if value is None:
            self.kinds["null"] += 1
        elif isinstance(value, bool):
            self.kinds["bool"] += 1
            self.trues += value
        elif isinstance(value, int):
            self.kinds["int"] += 1
            self.whole.append(value)
        elif isinstance(value, float):
            self.kinds["float"] += 1
            self.broken.append(float(value))
            self.decimals[_decimals(getattr(value, "text", repr(value)))] += 1
        elif isinstance(value, str):
            self._add_text(value)
        elif isinstance(value, list):
            self._add_array(value)
        else:
            self._add_object(value)

    def _add_text(self, value: str) -> None:
        self.kinds["text"] += 1
        self.lengths.append(len(orjson.dumps(value)) - 2)
        form = next((name for name, pattern in _FORMS.items() if pattern.fullmatch(value)), "")
        self.forms[form] += 1
        if form in ("date", "datetime"):
            self.days.append(value[:10])

    def _add_array(self, value: list[Any]) -> None:
        self.kinds["array"] += 1
        self.counts.append(len(value))
        if value and self.element is None:
            self.element = Seen()
        for one in value:
            assert self.element is not None  # noqa: S101 - for the type checker
            self.element.add(one)

    def _add_object(self, value: dict[str, Any]) -> None:
        self.kinds["object"] += 1
        for name, inner in value.items():
            self.members.setdefault(name, Seen()).add(inner)

    @property
    def total(self) -> int:
        return self.kinds.total()

    def template(self) -> Any:
        """The template of such values, null among them."""
        return self._one_of(self.kinds)

    def _one_of(self, kinds: Counter[str]) -> Any:
        found = [(count, self._of_kind(kind)) for kind, count in kinds.most_common()]
        if len(found) == 1:
            return found[0][1]
        weights = [max(1, round(100 * count / kinds.total())) for count, _ in found]
        return [f"{{{{ one_of({', '.join(map(str, weights))}) }}}}", *(template for _, template in found)]

    def member(self, name: str, objects: int) -> tuple[str, Any]:
        """Name and template of a member that is in some of so many objects."""
        found = ""
        if self.total < objects:
            found += f"{{{{ optional({_share(self.total, objects)}) }}}} "
        kinds = Counter({kind: count for kind, count in self.kinds.items() if kind != "null"})
        if not kinds:
            return _named(found, name), None
        if self.kinds["null"]:
            found += f"{{{{ null({_share(self.kinds['null'], self.total)}) }}}} "
        return _named(found, name), self._one_of(kinds)

    def _of_kind(self, kind: str) -> Any:
        if kind == "null":
            return None
        if kind == "bool":
            return f"{{{{ bool({_share(self.trues, self.kinds['bool'])}) }}}}"
        if kind == "int":
            return "{{ sequence }}" if self._rises() else f"{{{{ int({_spread(self.whole)}) }}}}"
        if kind == "float":
            (decimals, _), *_ = self.decimals.most_common(1)
            return f"{{{{ float({_spread(self.broken)}, decimals={decimals}) }}}}"
        if kind == "text":
            return self._of_texts()
        if kind == "array":
            return self._of_arrays()
        return self._of_objects()

    def _rises(self) -> bool:
        steps = {after - before for before, after in zip(self.whole, self.whole[1:], strict=False)}
        return len(self.whole) >= _RISING and len(steps) == 1 and min(steps) > 0

    def _of_texts(self) -> str:
        (form, count), *_ = self.forms.most_common(1)
        if count < self.kinds["text"] or not form:
            return f"{{{{ text({_spread(self.lengths)}) }}}}"
        if form == "uuid":
            return "{{ uuid }}"
        if form == "hex":
            return f"{{{{ hex({_spread(self.lengths)}) }}}}"
        try:
            first, last = (date.fromisoformat(day) for day in (min(self.days), max(self.days)))
            after = date(last.year + last.month // 12, last.month % 12 + 1, 1)
        except ValueError:  # 2026-13-41, and the last month of the calendar
            return f"{{{{ text({_spread(self.lengths)}) }}}}"
        return f"{{{{ {form}('{first.replace(day=1).isoformat()}', '{after.isoformat()}') }}}}"

    def _of_arrays(self) -> Any:
        if self.element is None:
            return []
        return [f"{{{{ repeat({_spread(self.counts)}) }}}}", self.element.template()]

    def _of_objects(self) -> Any:
        objects = self.kinds["object"]
        often = sorted(self.members, key=lambda name: -self.members[name].total)[:_MOST_NAMES]
        kept = {name for name in often if self.members[name].total >= _FEWEST * objects}
        self.left_out = len(self.members) - len(kept)
        return dict(inner.member(name, objects) for name, inner in self.members.items() if name in kept)

    def all_left_out(self) -> int:
        """How many names of members the template does not have. To be asked after ``template``."""
        inner = [*self.members.values(), *([self.element] if self.element is not None else [])]
        return self.left_out + sum(one.all_left_out() for one in inner)


def _named(directives: str, name: str) -> str:
    """The name of a member in a template. After a directive or a text, it may have braces."""
    if name.startswith("{{"):
        return f"{directives}{{{{ '{{{{' }}}}{name.removeprefix('{{')}"
    if not directives and "{{" in name:
        directives = "{{ optional(1) }} "
    return f"{directives}{name}"


def _share(count: int, total: int) -> str:
    """A share with two digits; never 0 or 1, if it is neither."""
    found = round(count / total, 2)
    if 0 < count < total:
        found = min(max(found, 0.01), 0.99)
    return f"{found:g}"


def _spread(values: list[int] | list[float]) -> str:
    texts = quantile_texts(values)
    if len(set(texts)) == 1:
        return texts[0]
    return f"quantiles({', '.join(texts)})"


def _decimals(text: str) -> int:
    return min(len(text.partition(".")[2]), 15) if "e" not in text.lower() else 6
