"""The counts of ``generate``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loader.jobs.report import RunReport


@dataclass(slots=True, kw_only=True)
class GenerateReport(RunReport):
    """Counts of a run, updated as it goes on.

    Attributes:
        template: Its path.
        library: The library that makes a part of the values, and its version; '' for none.
        records: How many are written.
        bytes_written: Their bytes with line feeds, before compression.
    """

    template: str
    seed: int
    first: int
    library: str = ""
    records: int = 0
    bytes_written: int = 0

    @property
    def exit_status(self) -> int:
        """0 all written; 1 failed; 130 interrupted."""
        return self._exit_status(0)

    @property
    def records_per_second(self) -> float:
        return self.records / max(self.seconds, 1e-6)

    def to_dict(self) -> dict[str, Any]:
        """The JSON report; see docs/generate.md."""
        return {
            "template": self.template,
            "seed": self.seed,
            "first": self.first,
            "count": self.records,
            "library": self.library or None,
            "status": self.status,
            "error": self.error,
            "error_code": self.error_code,
            "bytes_written": self.bytes_written,
            "seconds": round(self.seconds, 3),
            "records_per_second": round(self.records_per_second, 1),
        }
