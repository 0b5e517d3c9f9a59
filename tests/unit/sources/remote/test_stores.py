"""Which endpoints are given to the library of buckets."""

from __future__ import annotations

import pytest
from obstore.store import AzureStore, GCSStore

from loader.errors import SourceError
from loader.sources.remote.address import parse_address
from loader.sources.remote.object_site import require_same
from loader.sources.remote.site import State
from loader.sources.remote.stores import open_store


@pytest.mark.parametrize(
    "endpoint", ["ftp://host", "http://", "https:///x", "http://:80", "http://host:port", "http://host:0", "http://a b"]
)
@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("az://c", "AZURE_STORAGE_ENDPOINT"),
        ("gs://b", "STORAGE_EMULATOR_HOST"),
        ("gs://b", "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE"),
    ],
)
def test_an_endpoint_without_a_host_or_with_no_port_is_refused(
    endpoint: str, url: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, endpoint)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "a")
    with pytest.raises(SourceError, match="endpoint of the environment"):
        open_store(parse_address(url))


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://host/path", "http://[::1]:9000", "http://h:1/"])
def test_other_endpoints_are_used(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "a")
    store = open_store(parse_address("az://c"))
    assert isinstance(store, AzureStore)
    allowed = (store.client_options or {})["allow_http"]
    assert str(allowed).lower() == str(endpoint.startswith("http://")).lower()


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("127.0.0.1:4443", "http://127.0.0.1:4443"),
        ("http://[::1]:4443/", "http://[::1]:4443"),
        ("https://host", "https://host"),
    ],
)
def test_an_emulator_of_google_may_be_named_without_http(
    given: str, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", given)
    store = open_store(parse_address("gs://b"))
    assert isinstance(store, GCSStore)
    assert (store.config or {})["base_url"] == used
    assert str((store.client_options or {})["allow_http"]).lower() == str(used.startswith("http://")).lower()


@pytest.mark.parametrize(
    ("pinned", "now", "words"),
    [
        (State(3, '"a"'), State(3, '"a"'), None),
        (State(3, None), State(3, '"b"'), None),
        (State(None, '"a"'), State(3, '"a"'), None),
        (State(3, '"a"'), State(3, '"b"'), "its ETag is another one"),
        (State(3, '"a"'), State(3, None), "its ETag is another one"),
        (State(3, None), State(4, None), "it had 3 bytes, now 4"),
    ],
)
def test_an_answer_with_other_content_is_refused_also_where_the_server_lets_it_pass(
    pinned: State, now: State, words: str | None
) -> None:
    if words is None:
        require_same("gs://b/k", pinned, now)
        return
    with pytest.raises(SourceError, match=f"gs://b/k was changed while it was being loaded.*{words}"):
        require_same("gs://b/k", pinned, now)
