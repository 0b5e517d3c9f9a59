"""Lines of the log as JSON (``--log-format json``): one object a line, with the same first fields in each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

PREFIX = "runqy-loader: "
_ERROR = "error: "
_LONG = {"histogram", "machine", "options", "series", "server", "sources"}
"""Parts of reports that are not told in the log: they are long, and a report has them."""

_OBEYED = re.compile("[\x7f-\x9f]")
"""Control characters that JSON leaves as they are, and that a terminal would obey."""


class JsonLines:
    """Makes the lines of one run.

    Args:
        command: The name of the command; '' if it is not known.
    """

    def __init__(self, command: str) -> None:
        self._command = command

    def line(self, text: str, level: str, fields: Mapping[str, Any]) -> str:
        """One line, without its end.

        Args:
            text: The message, with or without the name of the program before it.
            level: debug, info, warning, error or critical.
            fields: What else the line holds; those that are None are left out.
        """
        import orjson  # needed for this form of the log only

        message = text.removeprefix(PREFIX)
        if level == "error":
            message = message.removeprefix(_ERROR)
        found = {
            "time": datetime.now(UTC),
            "level": level,
            "message": message,
            **({"command": self._command} if self._command else {}),
            **{name: value for name, value in fields.items() if value is not None},
        }
        encoded = orjson.dumps(_encodable(found), option=orjson.OPT_UTC_Z)
        return _OBEYED.sub(lambda one: f"\\u{ord(one[0]):04x}", encoded.decode())


def figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a line tells of a report: its numbers, words and counts by name, without lists and records of users."""
    return {name: value for name, value in report.items() if name not in _LONG and _is_short(value)} | {
        name: {key: one for key, one in value.items() if key not in _LONG and not isinstance(one, dict | list)}
        for name, value in report.items()
        if name not in _LONG and isinstance(value, dict) and not _is_short(value)
    }


def _is_short(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(one, int | float) for one in value.values())
    return value is None or isinstance(value, str | int | float)


def _encodable(value: Any) -> Any:
    """A value whose texts are UTF-8: names of files may hold bytes that are none (PEP 383)."""
    if isinstance(value, str):
        return value.encode(errors="backslashreplace").decode()
    if isinstance(value, dict):
        return {_encodable(str(name)): _encodable(one) for name, one in value.items()}
    return value
