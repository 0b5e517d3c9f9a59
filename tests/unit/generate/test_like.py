"""Templates that are learnt from a sample: the same shapes and sizes, and no values."""

from __future__ import annotations

import asyncio
import json
import random
import string
import uuid
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loader.errors import SourceError
from loader.generate.like import Learnt, learn
from loader.generate.rounded import quantile_texts
from loader.sources.generated.generator import Generator

NAMES = st.text(st.sampled_from("ab {%"), min_size=1, max_size=4) | st.sampled_from(
    ["{{ a }}", "{{ optional(0.5) }} a", "{{ '{{' }}", "a{{ b }}", "{{", "}}", " {{ a }}"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.dates().map(str)
    | st.uuids().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


def learnt(folder: Path, values: list[Any], records: int = 10_000) -> Learnt:
    path = folder / "sample.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return asyncio.run(learn(path, records))


def made(folder: Path, template: str, count: int) -> list[Any]:
    path = folder / "learnt.json"
    path.write_text(template)
    return [json.loads(text) for block in Generator(path, 1).blocks(0, count) for text in block]


def person(draw: random.Random, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": 7_000_000 + number,
        "key": str(uuid.UUID(int=draw.getrandbits(128), version=4)),
        "secret": "".join(draw.choices(string.ascii_letters, k=draw.randint(30, 60))),
        "city": draw.choice(["Reykjavik", "Ouagadougou"]),
        "salary": draw.randint(100_001, 998_999),
        "score": round(draw.gauss(500, 100), 3),
        "born": f"19{draw.randint(60, 99)}-0{draw.randint(1, 9)}-1{draw.randint(0, 9)}",
        "tags": ["".join(draw.choices(string.ascii_letters, k=12)) for _ in range(draw.randint(0, 5))],
        "admin": draw.random() < 0.2,
        "age": None if draw.random() < 0.3 else draw.randint(18, 90),
    }
    if draw.random() < 0.4:
        found["note"] = draw.choice([1.25, "some text"])
    return found


def test_records_have_the_shapes_and_sizes_of_the_sample(tmp_path: Path) -> None:
    draw = random.Random(5)
    sample = [person(draw, number) for number in range(4000)]
    found = made(tmp_path, learnt(tmp_path, sample).template, 4000)
    assert {tuple(one) for one in found} == {tuple(one) for one in sample}

    def share(records: list[dict[str, Any]], test: Any) -> float:
        return float(sum(map(test, records)) / len(records))

    for test in (
        lambda one: "note" in one,
        lambda one: one["age"] is None,
        lambda one: one["admin"],
        lambda one: isinstance(one.get("note"), str),
    ):
        assert share(found, test) == pytest.approx(share(sample, test), abs=0.03)
    for size in (
        lambda one: len(one["secret"]),
        lambda one: one["salary"],
        lambda one: one["score"],
        lambda one: len(one["tags"]),
        lambda one: len(json.dumps(one)),
    ):
        assert median(map(size, found)) == pytest.approx(median(map(size, sample)), rel=0.05)
    assert [one["id"] for one in found[:3]] == [1, 2, 3]
    assert all(uuid.UUID(one["key"]).version == 4 and one["born"].startswith("19") for one in found)


def test_no_value_of_the_sample_is_in_the_template(tmp_path: Path) -> None:
    draw = random.Random(6)
    sample = [person(draw, number) for number in range(300)]
    template = learnt(tmp_path, sample).template
    for one in sample:
        for value in (one["id"], one["key"], one["secret"], one["city"], one["salary"], one["score"], *one["tags"]):
            assert str(value) not in template
    assert "some text" not in template


def test_names_of_members_that_may_be_data_are_left_out(tmp_path: Path) -> None:
    sample = [{"a": 1, f"user-{number}": 1} for number in range(500)]
    found = learnt(tmp_path, sample)
    assert (list(json.loads(found.template)), found.left_out) == (["a"], 500)
    many = learnt(tmp_path, [{f"k{number}": 1 for number in range(1000)}])
    assert (len(json.loads(many.template)), many.left_out) == (200, 800)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=12))
def test_every_sample_gives_a_template_that_can_be_used(tmp_path: Path, values: list[Any]) -> None:
    values = [{}, *values]  # a single array of objects would be asked about: is it one record, or many?
    found = made(tmp_path, learnt(tmp_path, values).template, 50)
    kinds = {type(value) for value in values}
    assert {type(value) for value in found} <= kinds | ({float, int} if kinds & {float, int} else set())


def test_other_formats_bad_records_and_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("a,b\n" + "xy,123\n" * 50)
    found = asyncio.run(learn(path, 20))
    assert found.records == 20
    assert json.loads(found.template) == {"a": "{{ text(2) }}", "b": "{{ text(3) }}"}
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"a":1}\nnot json\n\n{"a":2}\n')
    assert (asyncio.run(learn(bad, 9)).records, asyncio.run(learn(bad, 9)).unreadable) == (2, 1)
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(SourceError, match="there is no record in it"):
        asyncio.run(learn(tmp_path / "empty.jsonl", 9))


@given(st.lists(st.integers(-(10**40), 10**40), min_size=1) | st.lists(st.floats(-1e300, 1e300), min_size=1))
def test_quartiles_enclose_all_values_and_have_two_digits(values: list[Any]) -> None:
    texts = quantile_texts(values)
    numbers = [Decimal(text) for text in texts]
    assert numbers == sorted(numbers)
    assert numbers[0] <= Decimal(repr(min(values))) and Decimal(repr(max(values))) <= numbers[-1]
    for text in texts:
        assert "e" not in text.lower()
        assert len(text.lstrip("-").replace(".", "").strip("0")) <= 2


def test_a_number_beyond_a_double_is_no_record_to_learn_from_as_it_is_none_to_load(tmp_path: Path) -> None:
    sample = tmp_path / "sample.jsonl"
    sample.write_text('{"a": 1.5}\n{"a": 1e999}\n')

    learnt = asyncio.run(learn(sample, 9))

    assert (learnt.value, learnt.records, learnt.unreadable) == ({"a": "{{ float(1.5, decimals=1) }}"}, 1, 1)
