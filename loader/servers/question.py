"""A ready-made command with its key, so that it can be sent to the server that holds the key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loader.wire.resp import array


class Question(NamedTuple):
    """A command and its key; of several keys, which are in one slot, any."""

    key: bytes
    command: bytes


def ask(name: bytes, key: bytes, *arguments: bytes) -> Question:
    """A command whose key is the word after its name."""
    return Question(key, array((name, key, *arguments)))


def ask_script(script: bytes, keys: Sequence[bytes], *arguments: bytes) -> Question:
    """A script, as it is sent. Its keys are in one slot."""
    return Question(keys[0], array((b"EVAL", script, b"%d" % len(keys), *keys, *arguments)))
