"""Options are checked against their declarations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import UsageError
from loader.settings.check import check_declared
from loader.settings.option import DURATION, Excludes, Needs, Option, declared
from loader.settings.values import convert_values, duration


def option(**more: Any) -> Option:
    return Option(help="Words.", group="Group", **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    count: Annotated[int, option(at_least=1, at_most=9)] = 5
    share: Annotated[float, option(above=0)] = 1.0
    patience: Annotated[int | str | None, option(unit=DURATION, at_least=2)] = None
    colour: Annotated[Literal["red", "green"] | None, option()] = None
    size: Annotated[int | Literal["auto"], option(at_least=0)] = 0
    folder: Annotated[Path | None, option()] = None
    names: Annotated[tuple[str, ...], option()] = ()
    switch: Annotated[bool, option(goes_with=(Excludes("colour", hint="Not both"),))] = False
    shade: Annotated[
        str | None, option(goes_with=(Needs("colour", "red", when="dark", hint="Only red is dark", unless="switch"),))
    ] = None
    server: Annotated[str, option(env=("SAMPLE_SERVER",), goes_with=(Excludes("folder"),))] = "here"
    even: Annotated[int, option(rule=lambda value: "must be even" if value % 2 else None)] = 0

    def __post_init__(self) -> None:
        convert_values(self)


def complaint(**fields: Any) -> str:
    with pytest.raises(UsageError) as caught:
        check_declared(Sample(**fields))
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"count": 0}, "--count must be between 1 and 9, not 0"),
        ({"count": 10}, "--count must be between 1 and 9, not 10"),
        ({"count": 1.0}, "--count must be a whole number, not 1.0"),
        ({"count": False}, "--count must be a whole number, not False"),
        ({"share": 0}, "--share must be above 0, not 0"),
        ({"share": float("nan")}, "--share must be above 0, not nan"),
        ({"share": "1"}, "--share must be a number, not '1'"),
        ({"patience": "1s"}, "--patience must be at least 2, not '1s'"),
        ({"patience": -1}, "--patience must be at least 2, not -1"),
        ({"patience": "x"}, "--patience: 'x' is no duration: write seconds, or a text such as 90s, 5m, 1h30m, 7d"),
        ({"patience": 2.5}, "--patience must be a duration, not 2.5"),
        ({"colour": "blue"}, "--colour must be one of 'red', 'green', not 'blue'"),
        ({"colour": 1}, "--colour must be one of 'red', 'green', not 1"),
        ({"size": -1}, "--size must not be negative, or auto, not -1"),
        ({"size": "Auto"}, "--size must be a whole number or 'auto', not 'Auto'"),
        ({"names": ("a", "")}, "--names must not be empty, not ''"),
        ({"names": "abc"}, "--names must be a list of text, not 'abc'"),
        ({"switch": True, "colour": "red"}, "--switch and --colour contradict each other. Not both"),
        ({"shade": "dark"}, "--shade dark needs --colour red. Only red is dark"),
        ({"shade": "dark", "colour": "green"}, "--shade dark needs --colour red. Only red is dark"),
        ({"server": "there", "folder": "f"}, "--server and --folder contradict each other. Give one of them"),
        ({"even": 3}, "--even must be even, not 3"),
    ],
)
def test_what_does_not_fit_is_told_with_the_rule_and_the_value(fields: dict[str, Any], told: str) -> None:
    assert complaint(**fields) == told


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"count": 1},
        {"count": 9},
        {"share": 1},
        {"patience": 2},
        {"patience": "1m"},
        {"colour": "red"},
        {"size": "auto"},
        {"names": ["a", "b"]},
        {"shade": "light"},
        {"shade": "dark", "colour": "red"},
        {"shade": "dark", "switch": True},
        {"switch": True},
    ],
)
def test_what_fits_is_taken(fields: dict[str, Any]) -> None:
    check_declared(Sample(**fields))


def test_a_value_from_a_variable_for_all_programs_contradicts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMPLE_SERVER", "there")
    check_declared(Sample(server="there", folder=Path("f")))
    assert "contradict" in complaint(server="elsewhere", folder=Path("f"))


def test_a_path_may_be_given_as_text() -> None:
    assert Sample(folder="a/b").folder == Path("a/b")  # type: ignore[arg-type]


def test_a_class_says_its_options_in_order_with_types_and_defaults() -> None:
    found = {one.name: one for one in declared(Sample)}
    assert list(found) == list(Sample.__dataclass_fields__)
    assert (found["size"].kinds, found["size"].choices, found["size"].default) == ((int,), ("auto",), 0)
    assert (found["patience"].kinds, found["patience"].nullable) == ((int, str), True)
    assert (found["names"].kinds, found["names"].repeated) == ((str,), True)
    assert (found["switch"].is_switch, found["count"].is_switch) == (True, False)
    assert found["colour"].flag == "--colour"


def test_a_field_without_a_declaration_is_a_mistake_of_the_program() -> None:
    @dataclass
    class Bare:
        count: int = 0

    with pytest.raises(TypeError, match="field count is not declared"):
        declared(Bare)


@given(st.floats(0, 1e9, allow_nan=False))
def test_seconds_may_have_a_fraction_where_the_option_does(value: float) -> None:
    assert duration(repr(value), fractions=True) == value


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("7", 7), ("2d", 172_800)])
def test_a_duration_has_one_syntax(text: str, seconds: int) -> None:
    assert duration(text, fractions=False) == seconds
    assert duration(text, fractions=True) == seconds


@pytest.mark.parametrize("text", ["", "x", "1.5x", "-1s", "s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text, fractions=True)
