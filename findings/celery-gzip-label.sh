#!/bin/sh
# kombu 5.7.0 and Celery 5.7.0: a body that was compressed with "gzip" is no gzip file.
#
# Guess: the header `compression: application/x-gzip` says what it says, so that gzip, `gzip -d` and other languages'
# gzip readers can read the body of such a message.
# Seen: the body is zlib's format (RFC 1950). gzip refuses it, zlib reads it.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check celery==5.7.0 kombu==5.7.0

cat >"$folder/send.py" <<'PYTHON'
import base64
import gzip
import json
import zlib

import celery
import kombu
from celery import Celery
from kombu import Connection

app = Celery("shop", broker="memory://")
app.signature("shop.send").apply_async([1], queue="mail", compression="gzip")
with Connection("memory://") as connection:
    stored = connection.default_channel._get("mail")  # as a broker keeps it, such as in a list of Redis
body, label = base64.b64decode(stored["body"]), stored["headers"]["compression"]
try:
    gzip.decompress(body)
    by_gzip = "reads it"
except OSError as error:
    by_gzip = f"refuses it ({error})"
by_zlib = json.loads(zlib.decompress(body))[0]
print(f"celery {celery.__version__}, kombu {kombu.__version__}: compression is {label}")
print(f"gzip {by_gzip}; zlib reads arguments {by_zlib}")
raise SystemExit(label != "application/x-gzip" or by_gzip == "reads it" or by_zlib != [1])
PYTHON
"$folder/venv/bin/python" "$folder/send.py"
