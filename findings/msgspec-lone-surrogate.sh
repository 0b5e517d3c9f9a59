#!/usr/bin/env bash
# msgspec 0.22.0: a JSON text with an escape of a lone surrogate, such as "\ud800", is reported as cut, though it is whole.
# Python's json reads it; orjson refuses it and says why.
#
# Prints what each of them says. Exits with 0 while msgspec says that the data are truncated.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0 orjson==3.13.0

"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys

import msgspec
import orjson

text = b'{"a": "\\ud800"}'


def said(decode):
    try:
        return repr(decode(text))
    except ValueError as error:
        return str(error)


for name, decode in (("json", json.loads), ("orjson", orjson.loads), ("msgspec", msgspec.json.decode)):
    print(f"{name}: {said(decode)}")
sys.exit("truncated" not in said(msgspec.json.decode))
PYTHON
