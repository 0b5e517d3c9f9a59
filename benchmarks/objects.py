"""A server of S3 on this machine: versitygw, over a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError, UnavailableError

_KEY, _SECRET, _REGION, _BUCKET = "benchmark", "benchmark-secret", "us-east-1", "benchmark"
_START_SECONDS = 20


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """A running server with one bucket."""

    endpoint: str

    @property
    def environment(self) -> list[str]:
        """What a client needs in its environment, as arguments of env(1)."""
        return [
            f"AWS_ACCESS_KEY_ID={_KEY}",
            f"AWS_SECRET_ACCESS_KEY={_SECRET}",
            f"AWS_REGION={_REGION}",
            f"AWS_ENDPOINT_URL={self.endpoint}",
        ]

    def put(self, path: Path, key: str) -> str:
        """Stores a file. Returns its URL."""
        import obstore
        from obstore.store import S3Store

        store = S3Store(
            _BUCKET,
            endpoint=self.endpoint,
            access_key_id=_KEY,
            secret_access_key=_SECRET,
            region=_REGION,
            client_options={"allow_http": True, "timeout": "1h"},
        )
        obstore.put(store, key, path)
        return f"s3://{_BUCKET}/{key}"


@contextmanager
def object_server(folder: Path) -> Iterator[ObjectServer]:
    """Runs the server.

    Raises:
        UnavailableError: It is not installed.
        BenchmarkError: It does not start.
    """
    places = [*os.environ.get("PATH", "").split(os.pathsep), str(Path.home() / "go" / "bin")]
    program = shutil.which("versitygw", path=os.pathsep.join(places))
    if program is None:
        raise UnavailableError(
            "there is no versitygw: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 installs it"
        )
    for name in ("meta", f"data/{_BUCKET}"):
        (folder / name).mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [program, "--quiet", "--access", _KEY, "--secret", _SECRET, "--region", _REGION]
    command += ["--port", f"127.0.0.1:{port}", "posix", "--sidecar", str(folder / "meta"), str(folder / "data")]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            end = time.monotonic() + _START_SECONDS
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise BenchmarkError(f"versitygw does not start: {(folder / 'log').read_text()}")
                time.sleep(0.02)
            yield ObjectServer(f"http://127.0.0.1:{port}")
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
