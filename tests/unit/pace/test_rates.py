"""Rates and profiles as people write them."""

from __future__ import annotations

import pytest

from loader.pace.rates import profile, rate


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("5000/s", 5000), ("5000", 5000), ("300/min", 5), ("7200/h", 2), ("20k/s", 20_000), ("1.5M/min", 25_000)],
)
def test_a_rate_is_a_number_and_a_time(text: str, per_second: float) -> None:
    assert rate(text) == pytest.approx(per_second)
    assert profile(text).lowest == profile(text).highest == pytest.approx(per_second)


@pytest.mark.parametrize(
    ("text", "lowest", "highest"),
    [
        ("ramp(100/s, 20000/s, 10m)", 100, 20_000),
        ("steps(100/s,600/min,400/s,1m)", 10, 400),
        ("spikes(100/s, 5k/s, 10s, 5m)", 100, 5000),
        ("sine(100/s, 2000/s, 1h30m)", 100, 2000),
    ],
)
def test_a_profile_knows_its_rates_and_its_text(text: str, lowest: float, highest: float) -> None:
    found = profile(text)
    assert (found.text, found.lowest, found.highest) == (text, lowest, highest)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("fast", "'fast' is no rate"),
        ("5000/d", "'5000/d' is no rate"),
        ("-5/s", "'-5/s' is no rate"),
        ("0/s", "must be above 0"),
        ("10000M/s", "above"),
        ("nan", "is no rate"),
        ("ramp(1/s, 2/s)", r"write ramp\(FROM, TO, DURATION\)"),
        ("ramp(1/s, 2/s, 1m, 1m)", r"write ramp\(FROM, TO, DURATION\)"),
        ("ramp(1/s, 0, 1m)", "the last rate must be above 0"),
        ("ramp(1/s, 2/s, 0)", "must be above 0"),
        ("ramp(1/s, 2/s, soon)", "no duration.*; ramp is written"),
        ("steps(1/s, 1m)", "write steps"),
        ("spikes(0, 0, 1s, 1m)", "all rates are 0"),
        ("spikes(1/s, 2/s, 1m, 1m)", "shorter than the time from one to the next"),
        ("sine(2/s, 1/s, 1m)", "first rate must be below the second"),
        ("jump(1/s, 2/s, 1m)", "jump is none of ramp, steps, spikes, sine"),
    ],
)
def test_what_is_neither_is_refused_with_what_to_write(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        profile(text)
