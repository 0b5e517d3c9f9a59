"""Replies as values: INFO, CLIENT LIST, HGETALL and CONFIG GET."""

from __future__ import annotations


def parse_info(reply: bytes) -> dict[str, str]:
    """The fields of a reply to INFO. A value is text, also where it is a number or a list such as ``keys=2,expires=0``.

    A line is ``name:value``. Of a name that occurs twice (``module``), the last value is kept.
    """
    fields = (line.split(":", 1) for line in _lines(reply) if ":" in line and not line.startswith("#"))
    return dict(fields)


def parse_list(value: str) -> dict[str, str]:
    """A value such as ``keys=2,expires=0``."""
    return dict(item.split("=", 1) for item in value.split(",") if "=" in item)


def parse_clients(reply: bytes) -> list[dict[str, str]]:
    """The connections in a reply to CLIENT LIST: a line each, of the form ``id=3 addr=… name=…``.

    Of the values, only paths of sockets may hold spaces. What follows a space in them is dropped.
    """
    return [dict(word.split("=", 1) for word in line.split(" ") if "=" in word) for line in _lines(reply) if line]


def pairs(reply: list[bytes] | dict[bytes, bytes]) -> dict[bytes, bytes]:
    """The fields of a reply to HGETALL: a flat list, or from some servers a map of RESP3 that nobody asked for."""
    return reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))


def parse_setting(reply: object) -> tuple[str, str] | None:
    """The name and the value in a reply to CONFIG GET of one setting.

    None for anything else: an error, since most users have no right to CONFIG GET; or the reply of a server that has no
    such setting.
    """
    if not isinstance(reply, list) or len(reply) != 2:
        return None
    name, value = (part.decode() if isinstance(part, bytes) else str(part) for part in reply)
    return name, value


def _lines(reply: bytes) -> list[str]:
    return reply.decode(errors="replace").replace("\r", "").split("\n")
