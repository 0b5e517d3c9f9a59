"""The values of the limits of a load."""

from __future__ import annotations

import pytest

from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.settings.latency import latency_seconds
from loader.settings.memory import Headroom
from loader.settings.sizes import size_of


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("500MB", 500_000_000), ("2 GiB", 2 << 30), ("1.5k", 1500), ("1kB", 1000), ("3tib", 3 << 40)],
)
def test_sizes_are_decimal_or_binary(text: str, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1 XB", "1MBs", "1,5GB"])
def test_another_text_is_no_size(text: str) -> None:
    assert size_of(text) is None


def test_a_headroom_is_a_size_or_a_share_of_the_limit() -> None:
    assert Headroom.parse("20%").of(1000) == 200
    assert Headroom.parse("500MB").of(1000) == 500_000_000
    assert Headroom.parse("1000000").of(1000) == 1_000_000
    assert Headroom.parse("1kB").of(1000) == 1000


@pytest.mark.parametrize("text", ["5", "500", "1.5", "999999"])
def test_a_small_headroom_needs_a_unit(text: str) -> None:
    with pytest.raises(UsageError, match="--memory-headroom must have a unit, such as 500MB or 5%"):
        LoadOptions(queue="q", memory_headroom=text).check()


@pytest.mark.parametrize(("text", "seconds"), [("20ms", 0.02), ("1.5ms", 0.0015), ("800us", 0.0008), ("1s", 1.0)])
def test_a_latency_has_its_unit(text: str, seconds: float) -> None:
    assert latency_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_latency", "20"),
        ("max_latency", "0ms"),
        ("max_latency", "2m"),
        ("max_latency", "90s"),
        ("memory_headroom", "0"),
        ("memory_headroom", "100%"),
        ("memory_headroom", "much"),
        ("max_pending", 0),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(option: str, value: str | int) -> None:
    with pytest.raises(UsageError, match=f"^--{option.replace('_', '-')} must"):
        LoadOptions(**{"queue": "q", option: value}).check()  # type: ignore[arg-type]


@pytest.mark.parametrize("option", [{"max_pending": 5}, {"max_latency": "5ms"}, {"memory_headroom": "5%"}])
def test_what_is_asked_of_redis_is_not_for_loads_over_http(option: dict[str, str | int]) -> None:
    with pytest.raises(UsageError, match="contradict each other"):
        LoadOptions(queue="q", to="http://localhost:3000", **option).check()  # type: ignore[arg-type]


def test_hours_are_for_every_target() -> None:
    LoadOptions(queue="q", to="http://localhost:3000", only_between="22:00-06:00").check()


def test_a_load_that_waits_for_memory_waits_also_when_the_server_refuses_writes() -> None:
    assert LoadOptions(queue="q", memory_headroom="10%").waits_for_memory
    assert not LoadOptions(queue="q").waits_for_memory


def test_batches_are_small_under_a_limit_for_the_latency_unless_their_size_is_given() -> None:
    assert LoadOptions(queue="q", max_latency="5ms").records_a_batch == 100
    assert LoadOptions(queue="q", max_latency="5ms", batch_size=700).records_a_batch == 700
    assert LoadOptions(queue="q", max_pending=5).records_a_batch == 1000
