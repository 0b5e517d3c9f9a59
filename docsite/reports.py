"""The page with the fields of every JSON report. The fields are those that the report classes write."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

from docsite.rest import table
from loader.consume.report import ConsumeReport
from loader.export.run import ExportReport
from loader.generate.report import GenerateReport
from loader.joblist.view import JobView
from loader.jobs.report import LoadReport, SourceReport
from loader.migrate.report import MigrateReport
from loader.results.polling import WaitReport
from loader.undo.report import RollbackReport
from loader.verify.report import VerifyReport

_SOURCE = SourceReport("in.jsonl", "jsonl", 2, records_read=1, loaded=1, bytes_read=2)
_REPORTS: dict[str, tuple[Any, str]] = {
    "load": (LoadReport(job="job", layout="asynq", sources=[_SOURCE]), "`load --report FILE`, `load --json`"),
    "load: each of `sources`": (_SOURCE, "the counts of one source"),
    "migrate": (
        MigrateReport(job="job", moves=True, source="a", target="b"),
        "`migrate --report FILE`, `migrate --json`",
    ),
    "export": (ExportReport(queue="q", layout="asynq"), "`export --report FILE`, `export --json`"),
    "verify": (VerifyReport(job="job", layout="asynq"), "`verify --report FILE`, `verify --json`"),
    "rollback": (RollbackReport(job="job"), "`rollback --report FILE`, `rollback --json`"),
    "consume": (
        ConsumeReport(queue="q", layout="asynq", consumers=8, service_time="50ms", fail_rate="0", seed=1),
        "`consume --report FILE`, `consume --json`",
    ),
    "generate": (GenerateReport(template="t", seed=1, first=1), "`generate --report FILE`, `generate --json`"),
    "wait": (WaitReport(), "`wait --json`"),
    "jobs": (
        JobView(job="job", kind="load", state="finished"),
        "`jobs show JOB --json`, and each element of `jobs --json`",
    ),
}
_SHARED = {
    "job": "Name of the job.",
    "status": "`completed`, `interrupted`, `failed`, or `running` of one that has not ended.",
    "error": "What failed; null otherwise.",
    "error_code": "Which kind of failure, see [errors](errors.md); null otherwise.",
    "queue": "Full name of the queue.",
    "layout": "The Redis keys that are written or read: `documented` or `asynq`; `http` for a load through HTTP.",
    "seconds": "How long it took.",
    "tasks_per_second": "Tasks by time.",
    "records_per_second": "Records by time.",
    "peak_rss_bytes": "Peak resident memory of the process.",
    "rejected_by_code": "Rejected records by reason, the most frequent first.",
    "rejected_examples": "The most frequent kinds of rejects: `code`, `count`, and of one of them `place`, `reason` "
    "and `record`.",
    "rejects_file": "The file with the rejected records; null if there is none.",
    "rejected": "Records or tasks that were set aside.",
    "bytes_read": "Bytes read, as stored: compressed bytes of a compressed file.",
    "bytes_written": "Bytes written.",
    "records_read": "Records read; blank lines are none.",
    "loaded": "Tasks pushed by this run.",
    "already_loaded": "Records that were in before.",
    "queue_fallbacks": "Records that name no queue, and went to that of `--queue`.",
    "filtered": "Left out by `--where`.",
    "not_sampled": "Left out by `--sample`.",
    "duplicates": "Left out by `--dedup`.",
    "outside": "Left out by `--offset` or `--limit`.",
    "dry_run": "Whether nothing was written (`--dry-run`, `--preview`).",
    "processes": "Processes that shared the input.",
    "sources": "The counts by source.",
    "name": "Name of the source.",
    "format": "Its format, with its compression.",
    "mode": "`copy` or `move`.",
    "source": "Where the tasks come from.",
    "target": "Where they go.",
    "resumed": "Whether an earlier run had begun the job.",
    "exported": "Tasks written.",
    "by_kind": "Differences by kind: see [verify](../verify.md).",
    "removed_by_state": "Tasks taken back, by the state in which they were.",
    "removed_earlier": "Tasks that earlier runs have taken back.",
    "command": "`consume`.",
    "consumers": "Tasks in service at once.",
    "service_time": "How long each takes, as it was given.",
    "fail_rate": "Share of executions that fail, as it was given.",
    "seed": "From which service times, failures or records follow.",
    "time_in_queue": "From pending until taken, with percentiles in ms; null if it is not known.",
    "first": "Number of the first record.",
    "count": "Records that were asked for.",
    "completed": "Tasks whose result is there.",
    "failed": "Tasks that failed for good.",
    "expired": "Tasks whose result is gone.",
    "pending": "Tasks that were not done when the time was over.",
    "missing": "Tasks of which Redis has nothing.",
}


def page() -> str:
    """The page.

    Raises:
        LookupError: A field has no words: neither in the docstring of its class nor here.
    """
    text = [
        "% This page is made from the code: see docsite/reports.py.\n",
        "# Fields of the reports\n",
        "Each command writes its report as one JSON object. A field may be added in any version; none changes its "
        "meaning. The report of a load has more words in "
        "[the reference](../reference.md#json-report---report-file---for-standard-output).\n",
    ]
    for name, (report, where) in _REPORTS.items():
        words = {**_SHARED, **_words(type(report))}
        rows = [
            (f"`{field}`", _kind(field, value, type(report)), _meaning(name, field, words))
            for field, value in _fields(report).items()
        ]
        text += [f"## {name}\n", f"{where[0].upper()}{where[1:]}.\n", table(("field", "type", "meaning"), rows)]
    return "\n".join(text)


def _fields(report: Any) -> dict[str, Any]:
    found: dict[str, Any] = report.to_dict() if hasattr(report, "to_dict") else dataclasses.asdict(report)
    return found


def _meaning(report: str, field: str, words: dict[str, str]) -> str:
    if field not in words:
        raise LookupError(f"the field {field} of {report} has no words: see docsite/reports.py")
    return words[field]


def _words(kind: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of their attributes and properties."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        attributes = (inspect.getdoc(one) or "").partition("Attributes:")[2]
        for names, text in re.findall(r"^    (\w[\w, ]*): (.*(?:\n        .*)*)", attributes, re.MULTILINE):
            found |= dict.fromkeys(names.split(", "), _plain(text))
        for name, value in vars(one).items():
            if isinstance(value, property) and value.__doc__:
                found[name] = _plain(value.__doc__.split("\n\n")[0])
    return found


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").replace("None", "null")


_NOUNS = {
    bool: "boolean",
    int: "number",
    float: "number",
    str: "text",
    dict: "object",
    list: "array",
    tuple: "array",
}
_OF_ANNOTATIONS = {"str": "text", "int": "number", "float": "number", "bool": "boolean", "list": "array"}
"""The others are written as objects."""


def _kind(field: str, value: Any, report: type) -> str:
    """The type of a field in JSON, from its value, or where that is null from what its class says of it."""
    if value is not None:
        return _NOUNS.get(type(value), "text")
    said = {one.name: str(one.type).partition(" | ")[0].partition("[")[0] for one in dataclasses.fields(report)}
    written = said.get(field, "str" if field in ("error", "error_code") else "")
    return f"{_OF_ANNOTATIONS.get(written, 'object')} or null" if written else "number or null"
