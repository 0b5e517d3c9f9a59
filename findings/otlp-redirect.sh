#!/usr/bin/env bash
# opentelemetry-exporter-otlp-proto-http 1.45.2 (Python): a server that answers with a redirect, such as a proxy that sends
# http:// to https://, gets nothing of what was sent to it, and each export is a success.
# Guess that it refutes: SUCCESS of an exporter says that the data are taken; a redirect is followed, or is an error.
#
# Each answer with a status below 400 counts as success, and redirects are not followed. Nothing is logged.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip --disable-pip-version-check --quiet install opentelemetry-exporter-otlp-proto-http==1.45.2

cat >"$folder/send.py" <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

seen = []


class Server(BaseHTTPRequestHandler):
    """Sends everything elsewhere."""

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        seen.append("POST")
        self.send_response(302)
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def do_GET(self):
        seen.append("GET")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
span = TracerProvider().get_tracer("one").start_span("one")
span.end()
result = OTLPSpanExporter(f"http://127.0.0.1:{server.server_port}/v1/traces").export([span])
print("the server saw:", "; ".join(seen))
print("the export is", result)
assert seen == ["POST"]
assert result is SpanExportResult.SUCCESS
PYTHON
"$folder/venv/bin/python" "$folder/send.py"
