#!/bin/sh
# pyarrow 26.0.1: local times after 2037 have no summer time.
#
# Guess: an offset that pyarrow writes for a moment and a zone is the one of the time zone database, as Python's zoneinfo
# and PostgreSQL give it, in any year.
# Seen: from 2038 on, the offset is always that of winter. A file of the database lists transitions up to 2037; after that
# a rule at its end goes on (RFC 9636, 3.3), which pyarrow does not read. The moment itself is right.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyarrow==26.0.1

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa

print(f"pyarrow {pa.__version__}, noon UTC on 1 July in Europe/Berlin:")
differ = []
for year in (2026, 2037, 2038, 2050):
    moment = datetime(year, 7, 1, 12, tzinfo=timezone.utc)
    (written,) = pa.array([moment], pa.timestamp("s", "Europe/Berlin")).cast(pa.string()).to_pylist()
    by_zoneinfo = moment.astimezone(ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%d %H:%M:%S%z")
    print(f"  pyarrow {written}   zoneinfo {by_zoneinfo}")
    if written != by_zoneinfo:
        differ.append(year)
if differ != [2038, 2050]:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
