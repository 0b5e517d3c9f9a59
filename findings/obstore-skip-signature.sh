#!/usr/bin/env bash
# obstore 0.12.1 (Python, object_store of Rust): with skip_signature, a store of Google Cloud Storage reads without
# credentials, but to write or to delete, it asks the metadata server of the machine for a token and sends it.
# Guess that it refutes: with skip_signature, no request needs or has credentials, as its documentation says.
#
# On a machine without such a server, a write to an emulator or a bucket that takes anybody's fails on the token.
# A service_account_key with "disable_oauth": true asks for none in either (and sends an empty one).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet install obstore==0.12.1

cat >"$folder/ask.py" <<'PYTHON'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

seen = []


class Server(BaseHTTPRequestHandler):
    """The storage, and the metadata server of a machine."""

    def answer(self):
        self.rfile.read(int(self.headers["content-length"] or 0))
        what = "token" if "/token" in self.path else "object"
        seen.append(f"{self.command} {what}" + (" with a token" if "Bearer t" in str(self.headers["authorization"]) else ""))
        body = b'{"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}'
        self.send_response(200)
        for name, value in (("content-length", len(body)), ("etag", '"1"'), ("last-modified", self.date_time_string())):
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["GCE_METADATA_HOST"] = f"127.0.0.1:{server.server_port}"

import obstore  # noqa: E402
from obstore.store import GCSStore  # noqa: E402

login = json.dumps({"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""})
found = {}
for name, how in (("skip_signature", {"skip_signature": True}), ("disable_oauth", {"service_account_key": login})):
    url, client = f"http://127.0.0.1:{server.server_port}", {"allow_http": True}
    store = GCSStore("bucket", base_url=url, client_options=client, retry_config={"max_retries": 0}, **how)
    obstore.get(store, "a").bytes()
    obstore.put(store, "b", b"content", use_multipart=False)
    obstore.delete(store, "b")
    found[name] = seen[:]
    seen.clear()
    print(f"obstore {obstore.__version__}, {name}: {', '.join(found[name])}")
assert found["skip_signature"] == [
    "GET object", "GET token", "PUT object with a token", "DELETE object with a token"
], found
assert found["disable_oauth"] == ["GET object", "PUT object", "DELETE object"], found
PYTHON
"$folder/venv/bin/python" "$folder/ask.py"
