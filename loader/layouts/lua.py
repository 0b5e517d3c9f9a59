"""Lua for the server: literals, and the bytes that are sent.

Scripts are written with comments, for readers. The golden files in ``tests/unit/golden/`` have the complete script of
each layout.
"""

from __future__ import annotations

import string

_PLAIN = frozenset((string.ascii_letters + string.digits + ":{}._-/@").encode())
_LITERALS = [b"%c" % byte if byte in _PLAIN else b"\\%03d" % byte for byte in range(256)]


def lua_string(text: bytes) -> bytes:
    """A Lua literal for any bytes: what is not plain is a decimal escape (Lua 5.1 manual, 2.1)."""
    return b"'%b'" % b"".join(map(_LITERALS.__getitem__, text))


def as_sent(script: bytes) -> bytes:
    """A script without comments and indentation, as it goes out with every batch.

    Line breaks stay, so that a line number in a server's error is that of the whole text.

    Args:
        script: Its comments are on lines of their own, and no string literal has a line break.
    """
    lines = (line.strip() for line in script.strip(b"\n").split(b"\n"))
    return b"\n".join(b"" if line.startswith(b"--") else line for line in lines)
