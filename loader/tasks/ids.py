"""Task ids: taken from records, or generated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import compress
from typing import Any

from loader.tasks.reasons import ReasonCode, UnusableRecordError

MAX_ID_BYTES = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_task_id(value: object) -> str:
    """A task id taken from a record, as text.

    Raises:
        UnusableRecordError: The value is neither text nor an integer, is empty or too long, or holds control
            characters.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _unusable(f"the task id is {_json_type(value)}, not text or an integer")
    text = str(value)
    if not text:
        raise _unusable("the task id is empty")
    if not text.isprintable() and _CONTROL.search(text):  # nearly all ids are printable and need no search
        raise _unusable("the task id holds a control character")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # possible with --accept-any-json
        raise _unusable("the task id holds a lone surrogate") from None
    if size > MAX_ID_BYTES:
        raise _unusable(f"the task id is longer than {MAX_ID_BYTES} bytes")
    return text


def check_task_ids(values: Sequence[Any]) -> list[bytes] | None:
    """Task ids taken from the records of a batch, encoded. None if one is invalid, or if texts and integers are mixed.

    Hot path: this checks all ids at once. ``check_task_id`` takes longer for each id, but says what is wrong.
    """
    kinds = set(map(type, values))
    if kinds == {int}:
        return [b"%d" % value for value in values]
    if kinds != {str}:
        return None
    if not all(values) or _CONTROL.search("".join(values)):
        return None
    try:
        ids = [text.encode() for text in values]
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return ids if max(map(len, ids)) <= MAX_ID_BYTES else None


def _unusable(text: str) -> UnusableRecordError:
    return UnusableRecordError(ReasonCode.BAD_ID, text)


def _json_type(value: object) -> str:
    names: dict[type, str] = {
        bool: "a boolean",
        float: "a number with a fraction or beyond 64 bits",
        list: "an array",
        dict: "an object",
    }
    return next((name for kind, name in names.items() if isinstance(value, kind)), "null")


# --- generated ids -------------------------------------------------------------------------------------------------
# A generated id is a UUID of version 8 (RFC 9562, section 5.8: custom): 74 bits of a hash of the job and the piece of
# the source, then the record's number within that piece in the last 48 bits. So the id is the same in every run and
# needs no hash per record. The first 24 of its 36 characters are constant for a piece.

ID_BYTES = 36
_SUFFIX_BLOCK = 4096
_LOW_DIGITS = [b"%03x" % n for n in range(_SUFFIX_BLOCK)]


def id_prefix(job: str, source: int, digest: str, start: int = 0) -> bytes:
    """The first 24 characters of all ids of a piece of a source, the last dash included.

    Args:
        source: Number of the source.
        digest: Digest of the source's content.
        start: Where in the source the piece begins.
    """
    seed = f"{job}\0{source}\0{digest}".encode()
    if start:
        seed += b"\0%d" % start
    digits = hashlib.blake2b(seed, digest_size=10).hexdigest()
    variant = "89ab"[int(digits[15], 16) & 3]
    return f"{digits[0:8]}-{digits[8:12]}-8{digits[12:15]}-{variant}{digits[16:19]}-".encode()


def id_suffixes(first: int, count: int, keep: list[bool] | None = None) -> list[bytes]:
    """The last 12 characters of ``count`` ids from record number ``first`` on (0-based).

    Hot path. A concatenation with a ready-made table costs about 35 ns an id; formatting each number costs 105 ns.

    Args:
        keep: Which of them to return; None for all.
    """
    suffixes: list[bytes] = []
    position, end = first, first + count
    while position < end:
        block, start = divmod(position, _SUFFIX_BLOCK)
        stop = min(_SUFFIX_BLOCK, start + end - position)
        high = b"%09x" % block
        suffixes += [high + low for low in _LOW_DIGITS[start:stop]]
        position += stop - start
    return suffixes if keep is None else list(compress(suffixes, keep))
