#!/bin/sh
# hdrhistogram 0.10.8 (Python): to add an empty histogram makes the minimum 0.
#
# Guess: adding a histogram without values changes nothing.
# Seen: get_min_value() of the sum is 0. The counts, and with them the percentiles, are right.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check hdrhistogram==0.10.8

"$folder/venv/bin/python" - <<'PYTHON'
import sys

from hdrh.histogram import HdrHistogram

found = HdrHistogram(1, 1_000_000, 3)
found.record_value(500)
before = found.get_min_value(), found.get_total_count()
found.add(HdrHistogram(1, 1_000_000, 3))
after = found.get_min_value(), found.get_total_count()
print(f"minimum and count before: {before}, after: {after}")
if (before, after) != ((500, 1), (0, 1)):
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
