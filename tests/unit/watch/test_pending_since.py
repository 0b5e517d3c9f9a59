"""The time in ``pending_since``, in the units in which producers write it."""

from __future__ import annotations

from typing import Any

import pytest

from loader.watch.look import pending_since


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (b"1764400000123456789", 1764400000.1234567),
        (b"1764400000", 1764400000.0),  # node-asynq
        (None, None),
        (b"", None),
        (b"0", None),
        (b"-5", None),
        (b"soon", None),
        (b"9" * 5000, None),
    ],
)
def test_seconds_and_nanoseconds_are_told_apart(reply: Any, seconds: float | None) -> None:
    assert pending_since(reply) == (seconds if seconds is None else pytest.approx(seconds, abs=1e-3))
