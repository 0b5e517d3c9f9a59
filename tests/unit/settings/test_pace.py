"""The values of the options of the pace."""

from __future__ import annotations

import math

import pytest

from loader.errors import UsageError
from loader.settings import LoadOptions


@pytest.mark.parametrize("rate", [0, 0.0, -1, 2e9, math.inf])
def test_a_number_that_is_no_rate_is_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="--rate must be above 0, and at most"):
        LoadOptions(queue="q", rate=rate).check()


@pytest.mark.parametrize("rate", [1, 0.5, 1e9, "300/min"])
def test_a_rate_is_a_number_or_a_text(rate: float | str) -> None:
    LoadOptions(queue="q", rate=rate).check()
