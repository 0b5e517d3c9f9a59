"""Slots of keys, measured by redis-py's own function."""

from __future__ import annotations

import pytest
import redis.crc
from hypothesis import given
from hypothesis import strategies as st

from loader.wire.slots import key_slot


@given(st.text("{}ab:", max_size=12).map(str.encode) | st.binary(max_size=40))
def test_a_key_is_in_the_slot_that_redis_py_finds(key: bytes) -> None:
    assert key_slot(key) == redis.crc.key_slot(key)


@pytest.mark.parametrize(
    ("key", "like"),
    [
        (b"{asynq:q.default:pending}:runqy-loader:j", b"asynq:q.default:pending"),
        (b"asynq:{q.default}:pending", b"asynq:{q.default}:t:1"),
    ],
)
def test_keys_of_one_tag_are_in_one_slot(key: bytes, like: bytes) -> None:
    assert key_slot(key) == key_slot(like)


def test_the_slot_of_the_specifications_example() -> None:
    assert key_slot(b"123456789") == 0x31C3
