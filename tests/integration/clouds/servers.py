"""Servers with the APIs of Google Cloud Storage (fake-gcs-server) and of Azure (Azurite), and buckets of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from azure.storage.blob import ContainerClient, ContentSettings
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.conftest import free_port
from tests.integration.remote.servers import program, running

_AZURITE = Path(__file__).parent / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
_HOW = "make test-clouds installs it"

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that Azurite has, as its documentation says."""


class Bucket(Protocol):
    """An empty bucket of a cloud."""

    @property
    def url(self) -> str: ...

    @property
    def port(self) -> int:
        """Of its server."""
        ...

    def env(self, port: int | None = None) -> dict[str, str]:
        """What a user has in the environment.

        Args:
            port: That of a proxy before the server.
        """
        ...

    def put(self, key: str, content: bytes, encoding: str | None = None) -> str:
        """Stores an object, with this Content-Encoding. Returns its URL."""
        ...

    def delete(self, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class GoogleBucket:
    port: int
    name: str = field(default_factory=lambda: f"bucket-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self._bucket.create()

    @property
    def url(self) -> str:
        return f"gs://{self.name}"

    def env(self, port: int | None = None) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": f"127.0.0.1:{port or self.port}"}

    def put(self, key: str, content: bytes, encoding: str | None = None) -> str:
        blob = self._bucket.blob(key)
        blob.content_encoding = encoding
        blob.upload_from_string(content)
        return f"{self.url}/{key}"

    def delete(self, key: str) -> None:
        self._bucket.delete_blob(key)

    @property
    def _bucket(self) -> Any:
        endpoint = {"api_endpoint": f"http://127.0.0.1:{self.port}"}
        anonymous: Any = AnonymousCredentials  # without types
        client = storage.Client("project", anonymous(), client_options=endpoint)
        return client.bucket(self.name)


@dataclass(frozen=True, slots=True)
class AzureContainer:
    port: int
    name: str = field(default_factory=lambda: f"container-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self._container.create_container()

    @property
    def url(self) -> str:
        return f"az://{self.name}"

    def env(self, port: int | None = None) -> dict[str, str]:
        return {
            "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            "AZURE_STORAGE_ACCOUNT_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port or self.port}/{ACCOUNT}",
        }

    def put(self, key: str, content: bytes, encoding: str | None = None) -> str:
        settings = ContentSettings(content_encoding=encoding)
        self._container.upload_blob(key, content, overwrite=True, content_settings=settings)
        return f"{self.url}/{key}"

    def delete(self, key: str) -> None:
        self._container.delete_blob(key)

    def contents(self, prefix: str) -> dict[str, bytes]:
        """The blobs whose names begin so, by the rest of their names."""
        container = self._container
        names = container.list_blob_names(name_starts_with=prefix)
        return {name.removeprefix(prefix): container.download_blob(name).readall() for name in names}

    @property
    def _container(self) -> ContainerClient:
        account = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        return ContainerClient(account, self.name, {"account_name": ACCOUNT, "account_key": KEY})


@contextmanager
def google_server(folder: Path) -> Iterator[int]:
    """Runs fake-gcs-server. Yields its port."""
    server = program("fake-gcs-server", _HOW)
    port = free_port()
    command = [server, "-backend", "memory", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    with running([*command, "-public-host", "127.0.0.1"], port, folder / "log"):
        yield port


@contextmanager
def azure_server(folder: Path) -> Iterator[int]:
    """Runs Azurite. Yields its port."""
    node = program("node", "Azurite needs it")
    if not _AZURITE.exists():
        pytest.skip(f"Azurite is not installed: {_HOW}")
    port = free_port()
    command = [node, str(_AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    with running([*command, "--skipApiVersionCheck", "--disableTelemetry"], port, folder / "log"):
        yield port
