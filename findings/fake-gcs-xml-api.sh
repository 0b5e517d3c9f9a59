#!/usr/bin/env bash
# fake-gcs-server 1.56.1 (Go), which stands in for Google Cloud Storage in tests, and obstore 0.12.1 (Python,
# object_store of Rust): a read on the condition that the ETag is the same (if_match) gives the new content of an object
# that was overwritten, and a write is refused as an invalid type of upload. Reads and listings work.
# Guess that it refutes: a stand-in that answers reads obeys their conditions, and takes what the same client writes.
#
# obstore speaks the XML API, and this server knows conditions, and writes that are not signed URLs, in the JSON API alone.
set -euo pipefail

folder=$(mktemp -d)
server=""
trap 'if [ -n "$server" ]; then kill "$server"; fi; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet install obstore==0.12.1
GOPATH="$folder/go" GOBIN="$folder/bin" go install github.com/fsouza/fake-gcs-server@v1.56.1
mkdir -p "$folder/data/bucket"
printf 'the old content' >"$folder/data/bucket/a.txt"
port=$(python3 -c 'import socket; one = socket.create_server(("127.0.0.1", 0)); print(one.getsockname()[1])')
"$folder/bin/fake-gcs-server" -backend memory -scheme http -host 127.0.0.1 -port "$port" -public-host 127.0.0.1 \
	-data "$folder/data" >"$folder/log" 2>&1 &
server=$!

cat >"$folder/read.py" <<'PYTHON'
import json
import sys
import time
import urllib.error
import urllib.request

import obstore
from obstore.store import GCSStore

base = f"http://127.0.0.1:{sys.argv[1]}"
place = base + "/upload/storage/v1/b/bucket/o?uploadType=media&name=a.txt"
client = {"allow_http": True}
login = json.dumps({"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""})
more = {"service_account_key": login, "client_options": client, "retry_config": {"max_retries": 0}}
store = GCSStore("bucket", base_url=base, **more)
for attempt in range(100):
    try:
        urllib.request.urlopen(base + "/storage/v1/b").read()
        break
    except urllib.error.URLError:
        time.sleep(0.1)
before = obstore.head(store, "a.txt")["e_tag"]
urllib.request.urlopen(urllib.request.Request(place, b"the new content", method="POST")).read()
after = obstore.head(store, "a.txt")["e_tag"]
read = bytes(obstore.get(store, "a.txt", options={"if_match": before}).bytes())
print(f"obstore {obstore.__version__}: ETag {before}, then {after}; read with If-Match {before}: {read}")
assert before != after
assert read == b"the new content"
try:
    obstore.put(store, "b.txt", b"content", use_multipart=False)
    refused = ""
except Exception as error:
    refused = str(error)
print("write:", refused.splitlines()[0].rpartition(" - ")[2])
assert "invalid uploadType" in refused
PYTHON
"$folder/venv/bin/python" "$folder/read.py" "$port"
