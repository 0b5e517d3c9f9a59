"""The value of --stop-at-memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import UsageError
from loader.settings import LoadOptions
from loader.settings.memory import MemoryThreshold


@given(st.integers(1, 10_000))
def test_a_share_is_of_the_limit(hundredths: int) -> None:
    found = MemoryThreshold.parse(f"{hundredths / 100}%")
    assert found.share == pytest.approx(hundredths / 10_000)
    assert found.size == 0


@given(st.integers(1, 10**15))
def test_a_whole_number_is_bytes(size: int) -> None:
    assert MemoryThreshold.parse(str(size)) == MemoryThreshold(None, size)


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-5%", "-5", "9O%", "0.9", "1e9", "%", "nan%", "inf", "٩٠%"])
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--stop-at-memory must"):
        LoadOptions(queue="q", stop_at_memory=text).check()


def test_it_is_for_redis_only() -> None:
    for options in ({"stop_at_memory": "90%"}, {"force_memory": True}):
        with pytest.raises(UsageError, match="contradict"):
            LoadOptions(queue="q", to="http://localhost:3000", **options).check()
