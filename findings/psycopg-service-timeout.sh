#!/usr/bin/env bash
# psycopg 3.3.9 (Python): connect_timeout in a connection service file does nothing. psycopg 3 connects without blocking
# and counts the seconds itself; it looks for connect_timeout in its arguments and in PGCONNECT_TIMEOUT, and never asks
# libpq what the service says. libpq's own blocking connect, which psql uses, reads it there.
#
# A server that accepts connections and says nothing hangs up after 6 seconds; the service says connect_timeout=2.
# Prints after how many seconds each way to connect gives up. Exits with 0 while libpq gives up after 2, psycopg with
# the same setting as an argument as well, and psycopg with the service only when the server hangs up.
# Guess refuted: what a service file says holds for psycopg as it does for psql.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "psycopg[binary]==3.3.9"

PGSERVICEFILE="$folder/services" "$folder/venv/bin/python" - "$folder/services" <<'PYTHON'
import socket
import sys
import threading
import time
from pathlib import Path

import psycopg
from psycopg import pq

HANGS_UP = 6
silent = socket.create_server(("127.0.0.1", 0))
port = silent.getsockname()[1]
Path(sys.argv[1]).write_text(f"[slow]\nhost=127.0.0.1\nport={port}\nuser=u\ndbname=d\nsslmode=disable\nconnect_timeout=2\n")


def serve():
    while True:
        connection, _ = silent.accept()
        threading.Timer(HANGS_UP, connection.close).start()


threading.Thread(target=serve, daemon=True).start()


def seconds(connect):
    began = time.monotonic()
    try:
        connect()
    except psycopg.Error as error:
        print(f"    {str(error).strip().splitlines()[0]}")
    return time.monotonic() - began


def by_libpq():
    connection = pq.PGconn.connect(b"service=slow")
    raise psycopg.OperationalError(connection.get_error_message())


libpq = seconds(by_libpq)
print(f"libpq, service: {libpq:.1f} s")
argument = seconds(lambda: psycopg.connect("service=slow connect_timeout=2"))
print(f"psycopg {psycopg.__version__}, service and argument: {argument:.1f} s")
service = seconds(lambda: psycopg.connect("service=slow"))
print(f"psycopg {psycopg.__version__}, service: {service:.1f} s")
assert max(libpq, argument) < HANGS_UP - 1 < service, "psycopg heeds the service file now"
PYTHON
