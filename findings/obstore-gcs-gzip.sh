#!/usr/bin/env bash
# obstore 0.12.1 (Python, object_store of Rust) with the API of Google Cloud Storage, by fake-gcs-server 1.56.1 (Go): an
# object with Content-Encoding gzip. A listing tells its size as it is stored, and head() that of the decompressed content.
# A whole read gives the latter, and a read of a range is an error, whichever size it is taken from.
# Guess that it refutes: list() and head() tell one size of an object, and bytes 0 to SIZE of it can be read.
#
# The service decompresses for clients that do not accept gzip, and then knows no ranges (Google's documentation:
# transcoding of gzip-compressed files). obstore sends no Accept-Encoding. With `accept-encoding: gzip` among the default
# headers of the client, all agree.
set -euo pipefail

folder=$(mktemp -d)
server=""
trap 'if [ -n "$server" ]; then kill "$server"; fi; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet install obstore==0.12.1
GOPATH="$folder/go" GOBIN="$folder/bin" go install github.com/fsouza/fake-gcs-server@v1.56.1
mkdir "$folder/data"
port=$(python3 -c 'import socket; one = socket.create_server(("127.0.0.1", 0)); print(one.getsockname()[1])')
"$folder/bin/fake-gcs-server" -backend memory -scheme http -host 127.0.0.1 -port "$port" -public-host 127.0.0.1 \
	-data "$folder/data" >"$folder/log" 2>&1 &
server=$!

cat >"$folder/read.py" <<'PYTHON'
import gzip
import json
import sys
import time
import urllib.error
import urllib.request

import obstore
from obstore.store import GCSStore

base = f"http://127.0.0.1:{sys.argv[1]}"


def ask(place, kind, body):
    urllib.request.urlopen(urllib.request.Request(base + place, body, {"Content-Type": kind})).read()


for attempt in range(100):
    try:
        ask("/storage/v1/b?project=p", "application/json", b'{"name": "bucket"}')
        break
    except urllib.error.URLError:
        time.sleep(0.1)
content = b"a line of text\n" * 1000
stored = gzip.compress(content)
about = json.dumps({"name": "a.txt", "contentEncoding": "gzip"}).encode()
parts = b"".join(
    b"--edge\r\nContent-Type: %s\r\n\r\n%s\r\n" % part for part in ((b"application/json", about), (b"text/plain", stored))
)
ask("/upload/storage/v1/b/bucket/o?uploadType=multipart", "multipart/related; boundary=edge", parts + b"--edge--")

found = {}
for name, headers in (("as it comes", {}), ("accepting gzip", {"accept-encoding": "gzip"})):
    client = {"allow_http": True, "default_headers": headers}
    store = GCSStore("bucket", base_url=base, skip_signature=True, client_options=client, retry_config={"max_retries": 0})
    sizes = [obstore.list(store).collect()[0]["size"], obstore.head(store, "a.txt")["size"]]
    whole = len(obstore.get(store, "a.txt").bytes())
    parts = []
    for size in sizes:
        try:
            parts.append(len(obstore.get_range(store, "a.txt", start=0, length=size)))
        except Exception as error:
            parts.append(str(error).splitlines()[0].partition(": ")[2])
    found[name] = (*sizes, whole, *parts)
    print(f"obstore {obstore.__version__}, {name}: list {sizes[0]}, head {sizes[1]}, a whole read {whole} bytes, ranges {parts}")
size, refused = len(stored), "Received non-partial response when range requested"
assert found["as it comes"] == (size, len(content), len(content), refused, refused), found
assert found["accepting gzip"] == (size,) * 5, found
PYTHON
"$folder/venv/bin/python" "$folder/read.py" "$port"
