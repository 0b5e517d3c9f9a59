"""Encodes the tasks of a file as the loader does: to a file, for redis-cli, or only to see how long it takes.

python -m benchmarks.encode FILE LAYOUT hset|listpack|ziplist REPORT
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal, Protocol

from benchmarks.outcome import QUEUE
from loader.layouts.asynq import AsynqEncoder
from loader.layouts.compact import Dumps
from loader.layouts.compact_asynq import CompactAsynq
from loader.layouts.compact_documented import CompactDocumented
from loader.layouts.documented import DocumentedEncoder
from loader.layouts.dump import FORMS as KEPT
from loader.layouts.dump import FormName
from loader.tasks.ids import id_prefix, id_suffixes
from loader.tasks.options import TaskOptions

Form = Literal["hset", "restore"]
FORMS: tuple[Form, ...] = ("hset", "restore")
_BATCH = 1000
_ASYNQ = TaskOptions(type="task", max_retry=25, timeout=1800)  # as ``benchmarks.outcome.ASYNQ``


class _Encoder(Protocol):
    def write_tasks(self, id_prefix: bytes, suffixes: list[bytes], payloads: list[bytes]) -> bytes: ...


def encoder(layout: str, kept: FormName | None) -> _Encoder:
    """The encoder of a layout for the harness's queue.

    Args:
        kept: The form of the dumps; None for HSETs.
    """
    compact = None if kept is None else Dumps(form=kept)
    if layout == "documented":
        documented = (QUEUE, "task", 3)
        return DocumentedEncoder(*documented) if compact is None else CompactDocumented(*documented, compact=compact)
    if compact is None:
        return AsynqEncoder(QUEUE, _ASYNQ, reverse_lookup=False)
    return CompactAsynq(QUEUE, _ASYNQ, reverse_lookup=False, compact=compact)


def batches(path: Path, size: int = _BATCH) -> Iterator[tuple[bytes, list[bytes], list[bytes]]]:
    """The batches of a file of payloads: the beginning of their ids, the ends, the payloads."""
    prefix = id_prefix("benchmark", 0, "0")
    done = 0
    with path.open("rb") as file:
        while lines := [line.rstrip(b"\n") for line in islice(file, size)]:
            yield prefix, id_suffixes(done, len(lines)), lines
            done += len(lines)


def main(path: str, layout: str, kept: FormName | None, report: str) -> None:
    """Writes the CPU seconds that the encoder took for the whole file, as JSON, to ``report``."""
    kind = encoder(layout, kept)
    seconds = 0.0
    for batch in batches(Path(path)):
        started = time.process_time()
        kind.write_tasks(*batch)
        seconds += time.process_time() - started
    Path(report).write_text(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], next((name for name in KEPT if name == sys.argv[3]), None), sys.argv[4])
