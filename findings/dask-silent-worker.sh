#!/usr/bin/env bash
# Dask distributed 2026.8.0: a worker that does not answer is given new tasks as soon as its old ones are cancelled, though
# another worker is idle. Nothing says so, and the tasks wait until the worker wakes up or worker-ttl (300 s) is over.
#
# Two workers with one thread each; one is stopped (SIGSTOP) while both run a task. Its tasks are cancelled, and 20 empty
# tasks are submitted. Prints how many of them are done after five seconds, by whom. Exits with 0 while some are not done,
# and all of the others were done by the worker that is awake.
# Guess refuted: if its old tasks are cancelled and another worker is idle, a worker that is silent holds up nothing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check distributed==2026.8.0
cd "$folder"

"$folder/venv/bin/python" - <<'PYTHON'
import os
import signal
import subprocess
import sys
import time

from distributed import Client, get_worker

TASKS = 20


def start(what, *arguments):
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--scheduler-file", "scheduler.json", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def long(number):
    time.sleep(3)


def short(number):
    return get_worker().name


processes = [start("scheduler", "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")]
try:
    workers = {n: start("worker", "--no-nanny", "--nthreads", "1", "--name", n) for n in ("asleep", "awake")}
    processes += workers.values()
    while not os.path.exists("scheduler.json"):
        time.sleep(0.1)
    with Client(scheduler_file="scheduler.json") as client:
        client.wait_for_workers(2)
        running = client.map(long, range(2), pure=False)
        time.sleep(1)
        workers["asleep"].send_signal(signal.SIGSTOP)
        time.sleep(3)  # the other one has ended its task
        client.cancel(running)
        futures = client.map(short, range(TASKS), pure=False)
        time.sleep(5)
        done = [future for future in futures if future.done()]
        names = set(client.gather(done))
        print(f"{len(done)} of {TASKS} empty tasks are done after 5 s, by {', '.join(sorted(names)) or 'nobody'}")
        waiting = {name: len(keys) for name, keys in client.processing().items()}
        print("with workers:", waiting)
        workers["asleep"].send_signal(signal.SIGCONT)
        client.gather(futures)
        print("all are done once the worker is awake")
finally:
    for process in processes:
        process.kill()
sys.exit(0 if 0 < len(done) < TASKS and names == {"awake"} else 1)
PYTHON
