"""RESP2 encoding of commands (the Redis serialization protocol specification, "Sending commands to a Redis server")."""

from __future__ import annotations

from collections.abc import Sequence

from loader.wire.lengths import ByLength

_BULK_HEADS = ByLength(lambda length: b"\r\n$%d\r\n" % length)


def bulk(argument: bytes) -> bytes:
    """One bulk string: ``$<length>\\r\\n<bytes>\\r\\n``."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def command(*arguments: bytes) -> bytes:
    """A whole command: an array of bulk strings."""
    return array(arguments)


def array(arguments: Sequence[bytes]) -> bytes:
    """A whole command from a sequence; see ``command``."""
    return bulks(arguments, b"*%d\r\n" % len(arguments))


def bulks(arguments: Sequence[bytes], head: bytes = b"") -> bytes:
    """All arguments as bulk strings, one after the other.

    Args:
        head: Bytes that precede them.
    """
    if not arguments:
        return head
    # Hot path, as in the encoders of the layouts: one list, filled by slices, and one join.
    parts: list[bytes] = [b""] * (2 * len(arguments))
    parts[0::2] = map(_BULK_HEADS.__getitem__, map(len, arguments))
    parts[1::2] = arguments
    parts[0] = head + parts[0][2:]
    parts.append(b"\r\n")
    return b"".join(parts)
