"""RESP2 encoding of commands (the Redis serialization protocol specification, "Sending commands to a Redis server")."""

from __future__ import annotations

from collections.abc import Sequence


def bulk(argument: bytes) -> bytes:
    """One bulk string: ``$<length>\\r\\n<bytes>\\r\\n``."""
    return b"$%d\r\n%b\r\n" % (len(argument), argument)


def command(*arguments: bytes) -> bytes:
    """A whole command: an array of bulk strings."""
    return array(arguments)


def array(arguments: Sequence[bytes]) -> bytes:
    """A whole command from a sequence; see ``command``."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += map(bulk, arguments)
    return b"".join(parts)
