"""Which endpoints are given to the library of buckets, which is not asked here."""

from __future__ import annotations

from typing import Any

import pytest

from loader.errors import SourceError
from loader.sources.remote.address import parse_address
from loader.sources.remote.stores import open_store


class NoStore:
    """In the place of a store of obstore."""

    def __init__(self, bucket: str, **options: Any) -> None:
        self.options = options


@pytest.fixture(autouse=True)
def _no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setattr("obstore.store.AzureStore", NoStore)


@pytest.mark.parametrize(
    "endpoint", ["ftp://host", "http://", "https:///x", "http://:80", "http://host:port", "http://host:0", "http://a b"]
)
def test_an_endpoint_without_a_host_or_with_no_port_is_refused(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
    with pytest.raises(SourceError, match="endpoint of the environment"):
        open_store(parse_address("az://c"))


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://host/path", "http://[::1]:9000", "http://h:1/"])
def test_other_endpoints_are_used(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
    store = open_store(parse_address("az://c"))
    assert isinstance(store, NoStore)
    assert store.options["client_options"]["allow_http"] == endpoint.startswith("http://")
