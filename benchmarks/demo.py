"""``make demo``: loads a real data set into the embedded server and shows what is stored.

The data: all airports of the ``airportsdata`` package (MIT licence, by Mike Borsetti), one JSON payload each.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import airportsdata
import orjson
import redis

from loader.servers.embedded import EmbeddedServer

DIRECTORY = Path("demo")
PAYLOADS = DIRECTORY / "airports.jsonl"
DATA = DIRECTORY / "redis"
PENDING = "asynq:inference.default:pending"


def write_payloads() -> int:
    """Writes one task a line; returns their number."""
    airports = airportsdata.load("ICAO").values()
    with PAYLOADS.open("wb") as file:
        for airport in airports:
            file.write(orjson.dumps({"prompt": "Describe this airport", "airport": airport}) + b"\n")
    return len(airports)


def main() -> int:
    DIRECTORY.mkdir(exist_ok=True)
    count = write_payloads()
    print(f"{PAYLOADS}: {count:,} payloads, made from the airportsdata package (MIT licence); the first:")
    with PAYLOADS.open() as file:
        print(f"  {file.readline().strip()}\n")
    command = ["load", str(PAYLOADS), "--queue", "inference", "--redis", "embedded", "--embedded-dir", str(DATA)]
    print(f"$ runqy-loader {shlex.join([*command, '--report', '-'])}", flush=True)
    done = subprocess.run([sys.executable, "-m", "runqy_loader", *command, "--report", "-"], check=False)
    if done.returncode != 0:
        return done.returncode

    server = EmbeddedServer(DATA)
    client: Any = redis.Redis.from_url(server.start(), decode_responses=True)
    try:
        oldest = client.lindex(PENDING, -1)
        print(f"\nThe next task a worker will take, as stored in asynq:t:{oldest}:")
        for field, value in dict(client.hgetall(f"asynq:t:{oldest}")).items():
            print(f"  {field:<10} {value}")
        pending = client.llen(PENDING)
        print(f"\n{PENDING}: {pending:,} tasks pending. Run `make demo` again: nothing is loaded twice.")
        return 0 if pending == count else 1
    finally:
        client.close()
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
