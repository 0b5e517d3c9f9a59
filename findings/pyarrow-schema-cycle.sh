#!/usr/bin/env bash
# pyarrow 26.0.1: the footer of a ParquetFile whose attribute "schema" was used is not freed with it: its FileMetaData
# and its ParquetSchema refer to each other, so the parsed footer stays until the garbage collector
# runs, which counts Python's objects and not their memory. A program that opens files with many row groups, and whose
# collector runs seldom, grows by all footers. "schema_arrow", and the columns of a row group, do not have this effect.
#
# Prints the FileMetaData that are left after 20 files were opened and closed, without "schema" and with it, and by how
# many bytes each file with 1,000 row groups made the process grow. Exits with 0 while none and all are left.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1

"$folder/venv/bin/python" - "$folder/rows.parquet" <<'PYTHON'
import gc
import sys
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

path, files = sys.argv[1], 20
parquet.write_table(pa.table({"a": range(1000), "b": range(1000), "c": range(1000)}), path, row_group_size=1)


def left():
    return sum(isinstance(one, parquet.FileMetaData) for one in gc.get_objects())


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def read(use_schema):
    with parquet.ParquetFile(path) as file:
        assert file.schema_arrow.names == ["a", "b", "c"]
        assert file.metadata.row_group(0).column(0).physical_type == "INT64"
        if use_schema:
            assert file.schema.names == ["a", "b", "c"]


read(False)
gc.collect()
gc.disable()
found = []
for use_schema in (False, True):
    before = resident()
    for _ in range(files):
        read(use_schema)
    found.append(left())
    print(f"schema used: {use_schema}. FileMetaData left: {left()}, bytes a file: {(resident() - before) // files:,}")
assert found == [0, files], found
PYTHON
