"""A client in the foreground: one GET after the other at a fixed rate, whether the server has answered or not.

It prints "ready" when its connection works, and begins then. At the end of its standard input it stops, and prints its
latencies as JSON. A latency is the time from the moment at which a command was to be sent to its answer.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from collections import deque

import hiredis
from hdrh.histogram import HdrHistogram

_COMMAND = b"*2\r\n$3\r\nGET\r\n$10\r\nforeground\r\n"


class Client:
    """See the module. Sending and receiving are threads, whose waits are more exact than timers of an event loop."""

    def __init__(self, address: str, rate: float) -> None:
        if address.startswith("/"):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(address)
        else:
            host, port = address.rsplit(":", 1)
            self._socket = socket.create_connection((host, int(port)))
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._gap = 1 / rate
        self._due: deque[float] = deque()
        self._over = threading.Event()
        self._histogram = HdrHistogram(1, 60_000_000, 3)

    def run(self) -> HdrHistogram:
        """Works until the end of standard input. Returns the latencies in microseconds."""
        receiving = threading.Thread(target=self._receive, daemon=True)
        sending = threading.Thread(target=self._send, daemon=True)
        print("ready", flush=True)
        receiving.start()
        sending.start()
        sys.stdin.buffer.read()
        self._over.set()
        sending.join()
        self._socket.shutdown(socket.SHUT_WR)  # what was sent is still answered
        receiving.join()
        return self._histogram

    def _send(self) -> None:
        due = time.perf_counter()
        while not self._over.is_set():
            time.sleep(max(0.0, due - time.perf_counter()))
            self._due.append(due)
            self._socket.sendall(_COMMAND)
            due += self._gap

    def _receive(self) -> None:
        reader = hiredis.Reader()
        while data := self._socket.recv(65536):
            now = time.perf_counter()
            reader.feed(data)
            while reader.gets() is not False:
                self._histogram.record_value(max(1, round((now - self._due.popleft()) * 1e6)))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--addr", required=True, help="HOST:PORT, or the path of a socket")
    parser.add_argument("--rate", type=float, default=500, help="commands a second")
    given = parser.parse_args()
    found = Client(given.addr, given.rate).run()
    percentiles = {"p50": 50, "p99": 99, "p99.9": 99.9}
    milliseconds = {name: found.get_value_at_percentile(share) / 1000 for name, share in percentiles.items()}
    print(json.dumps({"answers": found.get_total_count(), **milliseconds}))


if __name__ == "__main__":
    main()
