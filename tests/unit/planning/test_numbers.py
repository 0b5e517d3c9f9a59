"""Numbers of a plan as people write them."""

from __future__ import annotations

import pytest

from loader.planning.numbers import (
    count_of,
    count_problem,
    memory_problem,
    network_of,
    network_problem,
    payload_problem,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1e9", 10**9),
        ("1000000000", 10**9),
        ("1,000,000", 10**6),
        ("1_000_000", 10**6),
        ("250M", 250 * 10**6),
        ("1.5G", 1_500_000_000),
        ("2e6", 2_000_000),
    ],
)
def test_a_count_is_a_number_or_has_a_power(text: str, count: int) -> None:
    assert count_of(text) == count
    assert count_problem(text) is None


@pytest.mark.parametrize("text", ["", "x", "0", "-1", "1e99", "1e16", "1 2", "1e9/s", "nan", "٣"])
def test_anything_else_is_no_count(text: str) -> None:
    assert count_problem(text) is not None


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10Gbit", 1.25e9), ("10Gbit/s", 1.25e9), ("100 Mbit", 12.5e6), ("1.25GB/s", 1.25e9), ("8bps", 1.0)],
)
def test_a_network_is_in_bits_or_in_bytes(text: str, rate: float) -> None:
    assert network_of(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["10", "10G", "Gbit", "0Gbit", "-1Gbit", "10 parsecs"])
def test_a_network_has_its_unit(text: str) -> None:
    assert network_problem(text) is not None


def test_a_payload_is_no_longer_than_a_value_may_be() -> None:
    assert payload_problem("512MiB") is None
    assert payload_problem("1GB") is not None
    assert payload_problem("0") is not None


def test_memory_without_its_unit_is_refused() -> None:
    assert memory_problem("64GB") is None
    assert "unit" in str(memory_problem("64"))
