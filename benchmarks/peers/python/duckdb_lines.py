"""Writes the rows of a CSV or Parquet file as JSON lines on standard output, with DuckDB: all values as they are."""

from __future__ import annotations

import sys

import duckdb


def main() -> None:
    (path,) = sys.argv[1:]
    rows = "read_csv(?, all_varchar=true)" if path.endswith(".csv") else "read_parquet(?)"
    duckdb.execute(f"COPY (SELECT * FROM {rows}) TO '/dev/stdout' (FORMAT json)", [path])  # noqa: S608 - one of two


if __name__ == "__main__":
    main()
