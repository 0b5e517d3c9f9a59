"""Which endpoints are given to the library of buckets."""

from __future__ import annotations

import pytest
from obstore.store import AzureStore

from loader.errors import SourceError
from loader.sources.remote.address import parse_address
from loader.sources.remote.stores import open_store


@pytest.mark.parametrize(
    "endpoint", ["ftp://host", "http://", "https:///x", "http://:80", "http://host:port", "http://host:0", "http://a b"]
)
def test_an_endpoint_without_a_host_or_with_no_port_is_refused(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "a")
    with pytest.raises(SourceError, match="endpoint of the environment"):
        open_store(parse_address("az://c"))


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://host/path", "http://[::1]:9000", "http://h:1/"])
def test_other_endpoints_are_used(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "a")
    store = open_store(parse_address("az://c"))
    assert isinstance(store, AzureStore)
    allowed = (store.client_options or {})["allow_http"]
    assert str(allowed).lower() == str(endpoint.startswith("http://")).lower()
