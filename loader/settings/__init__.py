"""Options: how they are declared and checked, those that commands share, and those of a load."""

from __future__ import annotations

from loader.settings.load import DISCARD, EMBEDDED, LoadOptions, settled
from loader.settings.shared import DEFAULT_REDIS, is_job_name

__all__ = ["DEFAULT_REDIS", "DISCARD", "EMBEDDED", "LoadOptions", "is_job_name", "settled"]
