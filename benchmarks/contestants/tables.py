"""Payloads as rows of tables: the loader with CSV and Parquet, and a plain script with polars and redis-py."""

from __future__ import annotations

import csv
import shlex
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import orjson

from benchmarks.contestants.base import Plan, Work
from benchmarks.contestants.program import REPORT, Program, arguments, python_peer, reported_seconds
from benchmarks.payloads import Dataset
from benchmarks.recorder import loader_command

Table = Literal["csv", "quoted.csv", "parquet"]


@dataclass(frozen=True, slots=True)
class TableLoader:
    """See ``Contestant``. The input is a table with a row for each payload, in a file that is not measured.

    Args:
        table: How the table is written; ``quoted.csv`` has quotes around every field.
    """

    table: Table
    most_tasks: int | None = None

    @property
    def name(self) -> str:
        return f"runqy-loader-{self.table.replace('.', '-')}"

    @property
    def label(self) -> str:
        return f"runqy-loader, {self.table}"

    @property
    def same_work(self) -> bool:
        return True

    @property
    def note(self) -> str:
        return "the same payloads, made of rows"

    def prepare(self, work: Work) -> Plan:
        path = work.scratch / f"rows.{self.table}"
        write_table(work.dataset, path, self.table)
        options = list(work.options) if work.workers is None else [*work.options, f"--workers={work.workers}"]
        command = loader_command(path, work.target.url, work.batch_size, REPORT, *options)
        return Plan(command, seconds=reported_seconds(work.scratch))


@dataclass(frozen=True, slots=True)
class TableProgram:
    """See ``Contestant``: a peer that reads the table."""

    table: Table
    program: Program
    same_work: bool = True
    most_tasks: int | None = None

    @property
    def name(self) -> str:
        return self.program.name

    @property
    def label(self) -> str:
        return self.program.label

    @property
    def note(self) -> str:
        return self.program.note

    def prepare(self, work: Work) -> Plan:
        path = work.scratch / f"rows.{self.table}"
        write_table(work.dataset, path, self.table)
        given = replace(work, dataset=replace(work.dataset, path=path))
        command = [*self.program.build(), *arguments(given, self.program.connections)]
        return Plan(command, seconds=reported_seconds(work.scratch))


@dataclass(frozen=True, slots=True)
class PipedTable:
    """See ``Contestant``: DuckDB writes the rows as JSON lines, which the loader reads from a pipe."""

    table: Table
    same_work: bool = True
    most_tasks: int | None = None
    note: str = "DuckDB reads all as text (CSV) and writes JSON lines; the loader's clock, which begins with its start"

    @property
    def name(self) -> str:
        return f"duckdb-{self.table}"

    @property
    def label(self) -> str:
        return f"DuckDB piped into runqy-loader, {self.table}"

    def prepare(self, work: Work) -> Plan:
        path = work.scratch / f"rows.{self.table}"
        write_table(work.dataset, path, self.table)
        loading = loader_command(Path("-"), work.target.url, work.batch_size, REPORT, *work.options)
        both = f"set -o pipefail; {shlex.join([*python_peer('duckdb_lines'), str(path)])} | {shlex.join(loading)}"
        return Plan(["bash", "-c", both], seconds=reported_seconds(work.scratch))


def write_table(dataset: Dataset, path: Path, table: Table) -> None:
    """Writes the payloads of a dataset, which are flat objects of texts, as a table."""
    with dataset.path.open("rb") as lines:
        rows = list(map(orjson.loads, lines))
    if table == "parquet":
        import pyarrow as pa
        from pyarrow import parquet

        parquet.write_table(pa.Table.from_pylist(rows), path)
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        quotes_all = table == "quoted.csv"
        writer = csv.DictWriter(
            file, list(rows[0]), quoting=csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL, lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)


CSV = TableLoader("csv")
QUOTED = TableLoader("quoted.csv")
PARQUET = TableLoader("parquet")
DUCKDB_CSV = PipedTable("csv")
DUCKDB_PARQUET = PipedTable("parquet")
POLARS_CSV = TableProgram(
    "csv",
    Program(
        "polars-csv",
        "polars and redis-py, csv",
        partial(python_peer, "polars_redis_py"),
        note="polars reads all as text and writes JSON lines; a pipeline a batch, 1 connection, hiredis",
    ),
)
POLARS_PARQUET = TableProgram(
    "parquet",
    Program("polars-parquet", "polars and redis-py, parquet", partial(python_peer, "polars_redis_py"), note="the same"),
)
