"""Rates over the last few seconds."""

from __future__ import annotations

import pytest

from loader.cli.recent import Recent


def test_the_first_rate_is_that_since_the_beginning() -> None:
    assert Recent(2).rates(2.0, 10, 40) == (5.0, 20.0)
    assert Recent().rates(0.0, 0) == (0.0,)


def test_only_the_last_seconds_count() -> None:
    recent = Recent()
    for second in range(1, 11):
        recent.rates(second, 100 * second)
    (rate,) = recent.rates(11.0, 1000)
    assert rate == pytest.approx(80.0)  # 100/s for four of these five seconds, then nothing
    for second in range(12, 18):
        (rate,) = recent.rates(second, 1000)
    assert rate == 0.0
