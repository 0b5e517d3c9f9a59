"""Real servers that have input: of S3 (versitygw), HTTP (nginx) and SFTP (OpenSSH), each on a port of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import free_port

VERSITYGW = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
KEY, SECRET = "test-key", "test-Geheim-key"
REGION = "us-east-1"
_START_SECONDS = 20


def program(name: str, how: str) -> str:
    """The path of a program; skips the test where it is not installed."""
    places = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin", str(Path.home() / "go" / "bin")]
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        pytest.skip(f"{name} is not installed: {how}")
    return found


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Runs a server until it is no longer used."""
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            end = time.monotonic() + _START_SECONDS
            while not _answers(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.02)
            yield
        finally:
            process.terminate()
            process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@dataclass(frozen=True, slots=True)
class Objects:
    """A bucket of a server of S3."""

    bucket: str
    port: int

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    def env(self, port: int | None = None) -> dict[str, str]:
        """What a user has in the environment.

        Args:
            port: That of a proxy before the server.
        """
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name=REGION,
        )

    def put(self, key: str, content: bytes) -> str:
        """Stores an object. Returns its URL."""
        self.client().put_object(Bucket=self.bucket, Key=key, Body=content)
        return f"{self.url}/{key}"

    def get(self, key: str) -> bytes:
        content: bytes = self.client().get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return content

    def delete(self, key: str) -> None:
        self.client().delete_object(Bucket=self.bucket, Key=key)


@contextmanager
def s3_server(folder: Path) -> Iterator[int]:
    """Runs versitygw. Yields its port."""
    versitygw = program("versitygw", f"go install {VERSITYGW}")
    port = free_port()
    for name in ("data", "meta"):
        (folder / name).mkdir()
    command = [versitygw, "--access", KEY, "--secret", SECRET, "--region", REGION, "--port", f"127.0.0.1:{port}"]
    # Its attributes in a folder of their own, because not every file system of a test has extended attributes.
    with running([*command, "posix", "--sidecar", str(folder / "meta"), str(folder / "data")], port, folder / "log"):
        yield port


_NGINX = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{}}
http {{
    access_log {folder}/access;
    client_body_temp_path {folder}/t1;
    proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        location /no-etag/ {{ alias {folder}/files/; etag off; }}
        location /no-ranges/ {{ alias {folder}/files/; max_ranges 0; }}
        location /moved/ {{ rewrite ^/moved/(.*)$ /$1 redirect; }}
        location /round/ {{ return 302 /round/again.jsonl; }}
        location /busy/ {{ return 503; }}
        location /secret/ {{ return 403; }}
        location /login/ {{ alias {folder}/files/; auth_basic x; auth_basic_user_file {folder}/users; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Web:
    """A folder that a server of HTTP shows."""

    folder: Path
    port: int

    def put(self, name: str, content: bytes) -> str:
        """Stores a file. Returns its URL."""
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"http://127.0.0.1:{self.port}/{name}"

    @property
    def requests(self) -> list[str]:
        """The lines of the server's log."""
        return (self.folder / "access").read_text().splitlines()


@contextmanager
def web_server(folder: Path) -> Iterator[Web]:
    """Runs nginx."""
    nginx = program("nginx", "apt-get install nginx-light")
    port = free_port()
    (folder / "files").mkdir()
    (folder / "users").write_text("me:{PLAIN}a%b/c\n")
    (folder / "conf").write_text(_NGINX.format(folder=folder, port=port))
    with running([nginx, "-p", str(folder), "-c", str(folder / "conf")], port, folder / "log"):
        yield Web(folder, port)


@dataclass(frozen=True, slots=True)
class Files:
    """A folder that a server of SFTP shows, and the home of a user who may log in there."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The URL of the folder."""
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{self.folder}/files"

    @property
    def env(self) -> dict[str, str]:
        return {"HOME": str(self.folder / "home")}

    def put(self, name: str, content: bytes) -> str:
        """Stores a file. Returns its URL."""
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"{self.url}/{name}"


@contextmanager
def sftp_server(folder: Path) -> Iterator[Files]:
    """Runs OpenSSH's server as this user."""
    sshd = program("sshd", "apt-get install openssh-server")
    port = free_port()
    ssh = folder / "home" / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    (folder / "files").mkdir()
    for key in (folder / "host", ssh / "id_ed25519"):
        subprocess.run(
            [program("ssh-keygen", "apt-get install openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", str(key)],
            check=True,
        )
    (folder / "allowed").write_bytes((ssh / "id_ed25519.pub").read_bytes())
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host",
        "PidFile": "none",
        "AuthorizedKeysFile": folder / "allowed",
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "Subsystem": "sftp internal-sftp",
    }
    (folder / "conf").write_text("".join(f"{name} {value}\n" for name, value in options.items()))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # which it demands of root, and makes in its service only
    with running([sshd, "-D", "-e", "-f", str(folder / "conf")], port, folder / "log"):
        yield Files(folder, port)
