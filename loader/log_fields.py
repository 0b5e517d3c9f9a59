"""What a record of the log holds beside its message, for those who read the log by program."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any


def fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    """The fields of a record, by name: texts and numbers. Most records have none.

    Of a line of uvicorn's access log, they are client, method, path, http_version and status (uvicorn,
    ``AccessFormatter``).
    """
    if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == len(_ACCESS):
        return {"event": "access", **dict(zip(_ACCESS, record.args, strict=True))}
    found: Mapping[str, Any] = getattr(record, "fields", {})
    return found


_ACCESS = ("client", "method", "path", "http_version", "status")
