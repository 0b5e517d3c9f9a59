"""Record k is a function of the template, the seed and k."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.sources.generated.generator import Generator
from tests.unit.sources.generated.conftest import Make

ALL: dict[str, Any] = {
    "id": "{{ sequence }}",
    "uuid": "{{ uuid }}",
    "n": "{{ int(normal(0, 100)) }}",
    "x": "{{ float(lognormal(5, 1)) }}",
    "text": "{{ text(lognormal(40, 1)) }}",
    "words": "{{ words(2) }} {{ words(zipf(9)) }}",
    "hex": "{{ hex(uniform(1, 9)) }}",
    "lines": ["{{ repeat(0, 4) }}", {"of": ["{{ repeat(exponential(1)) }}", "{{ int(1, 9) }}"], "k": "{{ sequence }}"}],
    "{{ optional(0.3) }} note": "{{ choice('a', 1.50, null) }}",
    "{{ null(0.5) }} age": ["{{ one_of }}", 1, {"at": "{{ datetime('2026-01-01', '2026-02-01') }}"}],
}
LONG = {"text": "{{ text(lognormal(300000, 1)) }}"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "template.json"
    path.write_text(json.dumps(ALL))
    return path


def records(generator: Generator, first: int, end: int | None) -> list[str]:
    return [text for block in generator.blocks(first, end) for text in block]


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**70), first=st.integers(0, 3000), count=st.integers(0, 2500))
def test_any_slice_is_that_slice_of_the_whole(path: Path, seed: int, first: int, count: int) -> None:
    generator = Generator(path, seed)
    whole = records(generator, 0, 5500)
    assert records(Generator(path, seed), first, first + count) == whole[first : first + count]


def test_records_are_json_that_every_consumer_reads_and_write_in_the_same_way(path: Path) -> None:
    for text in records(Generator(path, 5), 10**12, 10**12 + 3000):
        value = orjson.loads(text)
        assert orjson.loads(orjson.dumps(value)) == value
        assert list(value)[:3] == ["id", "uuid", "n"]
        assert json.loads(text) == value


def test_large_records_are_made_a_few_at_a_time(make: Make, tmp_path: Path) -> None:
    found = make(LONG, 40)
    assert make(LONG, 3, first=17) == found[17:20]
    assert Generator(tmp_path / "template.json", 1).block <= 8


def test_another_seed_makes_other_records_and_a_change_elsewhere_keeps_the_values(make: Make) -> None:
    one = {"a": "{{ int(0, 1000000) }}", "b": "{{ uuid }}"}
    more = {"new": "{{ text(9) }}", "a": "{{ int(0, 1000000) }}", "b": "{{ int(1, 2) }}"}
    assert not set(make(one)) & set(make(one, seed=2))
    assert [json.loads(text)["a"] for text in make(one)] == [json.loads(text)["a"] for text in make(more)]


def test_values_at_different_places_are_not_the_same_draws(make: Make) -> None:
    template = {"a": "{{ int(0, 999) }}", "b": "{{ int(0, 999) }}", "c": "{{ int(0, 999) }}-{{ int(0, 999) }}"}
    equal = 0
    for text in make(template, 5000):
        value = json.loads(text)
        left, right = map(int, value["c"].split("-"))
        equal += (value["a"] == value["b"]) + (left == right) + (left == value["a"])
    assert equal < 40  # 15 are expected


def test_names_with_dots_and_brackets_are_places_of_their_own(make: Make) -> None:
    die = "{{ int(0, 1000000) }}"
    template = {"a": {"b": die}, "a.b": die, "c": [die], "c[0]": die, "d": f"{die} {die}", "d#1": die}
    (text,) = make(template, 1)
    assert len(set(re.findall(r"\d{3,}", text))) == 7


@pytest.mark.parametrize(("before", "after"), [('{"a": 1}', '{"a":  1}'), ("[1]", "[2]")])
def test_the_digest_is_of_the_text_the_seed_and_the_numbers(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(before)
    first = Generator(path, 1)
    assert Generator(path, 1).digest == first.digest
    assert Generator(path, 2).digest != first.digest
    assert len({first.digest_of(1, 10), first.digest_of(2, 10), first.digest_of(1, 11)}) == 3
    path.write_text(after)
    assert Generator(path, 1).digest != first.digest


def test_the_library_is_a_part_of_the_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mimesis = pytest.importorskip("mimesis")
    path = tmp_path / "t.json"
    path.write_text('"{{ name }}"')
    made = Generator(path, 1)
    assert made.made_by == f"mimesis {mimesis.__version__}"
    monkeypatch.setattr(mimesis, "__version__", "999.0")
    assert Generator(path, 1).digest != made.digest
    path.write_text('"{{ uuid }}"')
    assert Generator(path, 1).made_by == ""
