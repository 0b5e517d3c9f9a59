"""The OpenAPI document, its page, and what schemathesis finds when it holds the gateway to the document."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, KEY_ENV

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("layout", "examples"), [("asynq", 60), ("documented", 20)])  # both behind the same requests
def test_schemathesis_finds_nothing(valkey: Server, start: Start, tmp_path: Path, layout: str, examples: int) -> None:
    gateway = start(valkey.url, "--wait-timeout", "0.05", "--layout", layout)
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIGURATION)),
            *("run", f"{gateway.url}/openapi.json", "--header", f"Authorization: Bearer {KEY}", "--checks", "all"),
            f"--max-examples={examples}",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 selected / 6 total" in done.stdout
    assert gateway.stop().status == 0
    assert "bug" not in "\n".join(gateway.said)


def test_the_document_and_the_page_need_no_key(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    document = gateway.get("/openapi.json", key=None)
    assert document.status == 200
    assert document.headers["content-type"] == "application/json"
    assert set(document.json["paths"]) == {
        "/queue/add",
        "/queue/add-batch",
        "/queue/{id}",
        "/health",
        "/healthz",
        "/metrics",
    }
    page = gateway.get("/docs", key=None)
    assert page.status == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"


class Page(HTMLParser):
    """What a page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loaded += [str(value) for name, value in attrs if name == "src" or (name == "href" and tag != "a")]


def test_the_page_loads_everything_from_the_gateway(valkey: Server, start: Start) -> None:
    gateway = start(valkey.url)
    reply = gateway.get("/docs", key=None)
    page = Page()
    page.feed(reply.body.decode())
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert len(page.loaded) == 4
    for address in page.loaded:
        assert not address.startswith(("http", "/"))
        loaded = gateway.get(f"/{address}", key=None)
        assert loaded.status == 200 and loaded.body, address
    assert b'"openapi.json"' in gateway.get("/docs/start.js", key=None).body
    missing = gateway.get("/docs/nothing.js", key=None)
    assert (missing.status, missing.errors) == (404, ["not found"])


def test_the_document_tells_the_limits(valkey: Server, start: Start) -> None:
    document = start(valkey.url, "--max-jobs", "77").get("/openapi.json").json
    schemas = document["components"]["schemas"]
    assert schemas["AddBatchRequest"]["properties"]["jobs"]["maxItems"] == 77
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["scheme"] == "bearer"
    assert (schemes["apiKey"]["in"], schemes["apiKey"]["name"]) == ("header", "X-API-Key")
    for operation in ("/queue/add", "post"), ("/queue/add-batch", "post"), ("/queue/{id}", "get"):
        path, method = operation
        assert document["paths"][path][method]["security"] == [{"bearer": []}, {"apiKey": []}]  # one of the two
    assert KEY not in str(document)
    assert KEY_ENV not in str(document)
