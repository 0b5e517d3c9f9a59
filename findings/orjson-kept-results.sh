#!/usr/bin/env bash
# orjson 3.13.0: a program that keeps the results of orjson.dumps needs many times the memory that sys.getsizeof tells.
# The buffer begins with a kilobyte and is shrunk to the text, and what is cut off is hardly used again. A copy of each
# result (bytes(memoryview(text))) takes a few bytes more than the text, and is faster, because the heap stays small.
#
# Prints bytes of resident memory for each kept result of about 100 bytes, as they are and copied, each in a fresh process.
# Exits with 0 while those as they are take over four times those that are copied.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check orjson==3.13.0

measure() {
    "$folder/venv/bin/python" - "$1" <<'PYTHON'
import sys
from pathlib import Path

import orjson


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


value = {"text": "x" * 50, "options": {"seed": 1000000000}, "n": 7}
copied = sys.argv[1] == "copied"
kept = [None] * 100_000
before = resident()
for n in range(len(kept)):
    text = orjson.dumps(value)
    kept[n] = bytes(memoryview(text)) if copied else text
print((resident() - before) // len(kept))
PYTHON
}

plain=$(measure plain)
copied=$(measure copied)
echo "bytes a kept result: $plain as they are, $copied copied"
test "$plain" -gt $((4 * copied))
