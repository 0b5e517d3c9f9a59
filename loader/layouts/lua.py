"""Literals for Lua scripts."""

from __future__ import annotations


def lua_string(text: bytes) -> bytes:
    """A Lua literal for any bytes: every byte as a decimal escape (Lua 5.1 manual, 2.1)."""
    return b"'%b'" % b"".join(b"\\%03d" % byte for byte in text)
