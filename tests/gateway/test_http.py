"""HTTP as real clients speak it, and as none should: upgrades, framing, header fields, slow and half-closed clients."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import socket
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Server
from tests.gateway.conftest import Start
from tests.gateway.helpers import KEY, KEY_ENV, QUEUES, Gateway, peak
from tests.interop.installing import tool

BODY = b'{"queue": "simple", "data": 1}'
AUTH = f"Authorization: Bearer {KEY}\r\n".encode()
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n"


@pytest.fixture(scope="module")
def gateway(_valkey: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all tests that only speak to it."""
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "queues.yaml").write_text(QUEUES)
    usual = ("--redis", _valkey.url, "--api-key-env", KEY_ENV, "--queues-file", "queues.yaml")
    with Gateway(*usual, "--body-timeout", "1", "--idle-timeout", "1.5", cwd=folder) as running:
        yield running


def post(*fields: bytes, body: bytes = BODY, host: bytes = b"Host: x\r\n", auth: bytes = AUTH) -> bytes:
    """A request's bytes, with Content-Length unless it is chunked."""
    length = b"" if CHUNKED in fields else b"Content-Length: %d\r\n" % len(body)
    return b"POST /queue/add HTTP/1.1\r\n%b%b%b%b\r\n%b" % (host, auth, b"".join(fields), length, body)


def exchange(gateway: Gateway, *parts: bytes, half_close: bool = False, answers: int = 1) -> bytes:
    """Sends bytes, waits for an answer to each part but the last if several are awaited, and returns what comes."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
        received = b""
        for number, part in enumerate(parts):
            try:
                connection.sendall(part)
            except ConnectionError:
                break  # it has refused before the end
            if number + 1 < len(parts) and answers > 1:
                received += connection.recv(65536)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        while received.count(b"HTTP/1.1 ") < answers or not re.search(rb"\r\n\r\n.+\Z", received, re.DOTALL):
            try:
                got = connection.recv(65536)
            except ConnectionResetError:
                break
            if not got:
                break
            received += got
    return received


def statuses(received: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def refused(gateway: Gateway, status: int, words: str, *parts: bytes) -> None:
    received = exchange(gateway, *parts)
    assert statuses(received) == [status], received[:300]
    (error,) = json.loads(received.partition(b"\r\n\r\n")[2])["errors"]
    assert words in error
    assert b"connection: close" in received


# --- offers to upgrade ----------------------------------------------------------------------------------------------


def test_the_body_after_an_offer_to_upgrade_is_the_requests_body(gateway: Gateway) -> None:
    offered = post(OFFER)
    for parts in (
        (offered,),
        (offered[: -len(BODY)], BODY),
        (offered[:-1], BODY[-1:]),
        (post(OFFER, CHUNKED, body=CHUNKS + b"\r\n"),),
    ):
        assert statuses(exchange(gateway, *parts)) == [200], parts


def test_after_an_offer_the_connection_goes_on(gateway: Gateway) -> None:
    looked_up = b"GET /healthz HTTP/1.1\r\nHost: x\r\n%b\r\n" % OFFER
    assert statuses(exchange(gateway, post(OFFER) + looked_up + post(OFFER) + post(), answers=4)) == [200] * 4


JAVA = """
import java.net.URI;
import java.net.http.*;

public class Enqueue {
    public static void main(String[] args) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int n = 0; n < 3; n++) {
            HttpRequest request = HttpRequest.newBuilder(URI.create(args[0] + "/queue/add"))
                .header("Authorization", "Bearer " + args[1])
                .POST(HttpRequest.BodyPublishers.ofString("{\\"queue\\": \\"simple\\", \\"data\\": " + n + "}"))
                .build();
            HttpResponse<String> answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode());
        }
    }
}
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java here")
def test_javas_http_client_posts_as_it_comes(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "Enqueue.java").write_text(JAVA)
    done = subprocess.run(
        ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "Enqueue.java", gateway.url, KEY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["200"] * 3, done.stderr


def test_curl_posts_with_http2(gateway: Gateway) -> None:
    curl = tool("curl", "the offer of HTTP/2")
    url, auth = f"{gateway.url}/queue/add", f"Authorization: Bearer {KEY}"
    done = subprocess.run(
        [curl, "-sS", "--http2", "-w", " %{http_code}", "-H", auth, "-d", BODY, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.endswith(" 200")


# --- framing --------------------------------------------------------------------------------------------------------


def test_chunked_bodies_are_read_however_they_are_cut(gateway: Gateway) -> None:
    whole = post(CHUNKED, body=CHUNKS + b"\r\n")
    assert statuses(exchange(gateway, whole)) == [200]
    assert statuses(exchange(gateway, *(whole[at : at + 7] for at in range(0, len(whole), 7)))) == [200]


def test_wrong_framing_is_refused(gateway: Gateway) -> None:
    for fields in (
        (b"Transfer-Encoding: foo\r\n",),
        (b"Content-Length: 30\r\n",),
        (CHUNKED, b"Content-Length: 3\r\n"),
    ):
        refused(gateway, 400, "not a valid HTTP/1.1 request", post(*fields))
    gzipped = b"Transfer-Encoding: gzip, chunked\r\n"
    request = post(CHUNKED, gzipped, body=CHUNKS + b"\r\n").replace(CHUNKED, b"")
    refused(gateway, 400, "the only transfer coding that is read is chunked", request)


def test_what_is_no_http_is_told_so_at_once(gateway: Gateway) -> None:
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00", b"hello\r\n\r\n", b"GET / HTTP/1.1\nHost: x\n\n\r\n\r\n"):
        refused(gateway, 400, "not a valid HTTP/1.1 request", sent)


def test_a_request_without_one_host_is_refused(gateway: Gateway) -> None:
    refused(gateway, 400, "host is missing", post(host=b""))
    refused(gateway, 400, "host comes more than once", post(host=b"Host: a\r\nHost: b\r\n"))
    assert statuses(exchange(gateway, post(host=b"").replace(b"HTTP/1.1", b"HTTP/1.0"))) == [200]


def test_pipelined_requests_are_answered_in_their_order(gateway: Gateway) -> None:
    received = exchange(gateway, post() + post(auth=b"") + post(), answers=3)
    assert statuses(received) == [200, 401, 200]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("fields", [b"", b"Connection: Upgrade\r\nUpgrade: a\r\n"], ids=["plain", "offers"])
def test_any_number_of_requests_in_a_row_is_answered_and_takes_no_more_memory(gateway: Gateway, fields: bytes) -> None:
    assert statuses(exchange(gateway, post())) == [200]
    before = peak(gateway)
    request = b"GET /health HTTP/1.1\r\nHost: x\r\n%b\r\n" % fields
    answers = exchange(gateway, request * 4000 + post(), half_close=True, answers=4001)
    assert statuses(answers) == [200] * 4001
    assert peak(gateway) - before < 4 * 1024 * 1024  # a request that waits takes about 3 KB


def test_after_an_answer_that_closes_nothing_is_taken(valkey: Server, gateway: Gateway) -> None:
    refused = post(b"Host: y\r\n")
    assert statuses(exchange(gateway, refused[:-1], refused[-1:] + post(), answers=2)) == [400]
    with valkey.client() as client:
        assert client.keys("asynq:*") == []


def test_what_comes_behind_a_request_does_not_keep_it_from_its_answer(gateway: Gateway) -> None:
    assert statuses(exchange(gateway, post() + b"\0nonsense")) == [200]


# --- header fields --------------------------------------------------------------------------------------------------


def test_fields_that_decide_come_once(gateway: Gateway) -> None:
    for field in (b"Authorization: Bearer another\r\n", b"X-API-Key: a\r\nX-API-Key: b\r\n"):
        refused(gateway, 400, "comes more than once", post(field))
    refused(gateway, 400, "idempotency-key comes more than once", post(b"Idempotency-Key: a\r\n" * 2))


def test_a_key_in_the_trailer_is_none(gateway: Gateway) -> None:
    assert statuses(exchange(gateway, post(CHUNKED, body=CHUNKS + AUTH + b"\r\n", auth=b""))) == [401]
    mark = post(CHUNKED, body=CHUNKS + b"Idempotency-Key: t\r\n\r\n")
    assert b"idempotency-replayed" not in exchange(gateway, mark) + exchange(gateway, mark)


def test_header_fields_are_bounded_before_anything_else(gateway: Gateway) -> None:
    for fields in (
        [b"X-A: %b\r\n" % (b"a" * 70_000)],
        [b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(1000)],
        [b"X-A: %b" % (b"a" * 65_536)],
    ):
        whole = post(*fields, auth=b"")
        refused(gateway, 431, "longer than 65536 bytes", whole)
        refused(gateway, 431, "longer than 65536 bytes", *(whole[at : at + 5000] for at in range(0, len(whole), 5000)))
    assert statuses(exchange(gateway, post(b"X-A: %b\r\n" % (b"a" * 60_000)))) == [200]
    for second in (post(b"X-A: %b\r\n" % (b"a" * 80_000)), b"GET / HTTP/1.1\r\nX-A: %b" % (b"a" * 80_000)):
        assert statuses(exchange(gateway, post() + second)) == [200]  # that of the first request, and the end


def test_trailers_and_chunk_extensions_are_bounded(gateway: Gateway) -> None:
    long = b"X-A: %b" % (b"a" * 50_000)
    refused(gateway, 400, "trailer fields are longer", post(CHUNKED, body=CHUNKS), *([long] * 8))


# --- compressed bodies ----------------------------------------------------------------------------------------------


def test_gzip_bodies_are_read(gateway: Gateway) -> None:
    for body in (gzip.compress(BODY), gzip.compress(BODY[:10]) + gzip.compress(BODY[10:])):
        assert statuses(exchange(gateway, post(b"Content-Encoding: gzip\r\n", body=body))) == [200]


def test_other_codings_and_damaged_data_are_refused(gateway: Gateway) -> None:
    def ask(coding: str, body: bytes) -> tuple[int, str]:
        reply = gateway.ask("POST", "/queue/add", body, headers={"Content-Encoding": coding})
        return reply.status, reply.errors[0]

    assert ask("br", b"x") == (415, "the only content coding that is read is gzip")
    assert ask("gzip", BODY) == (400, "the body is not the gzip data that its header fields announce")
    assert ask("gzip", gzip.compress(BODY)[:-3]) == (400, "the body's gzip data are cut")
    bomb = zlib.compressobj(9, wbits=31)
    zeros = b"".join(bomb.compress(b" " * 1_000_000) for _ in range(50)) + bomb.flush()
    assert ask("gzip", zeros) == (413, "the body is too long: at most 16777216 bytes")


# --- slow, silent and half-closed clients ---------------------------------------------------------------------------


def test_a_half_closed_client_gets_its_answers(valkey: Server, gateway: Gateway) -> None:
    assert statuses(exchange(gateway, post(), half_close=True)) == [200]
    assert statuses(exchange(gateway, post() + post(), half_close=True, answers=2)) == [200, 200]


def test_a_half_closed_client_gets_its_answer_however_long_redis_takes(valkey: Server, gateway: Gateway) -> None:
    with valkey.client() as client:
        client.client_pause(300, all=False)
        assert statuses(exchange(gateway, post(), half_close=True)) == [200]


def test_silent_and_idle_connections_are_closed(gateway: Gateway) -> None:
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as silent,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as idle,
    ):
        idle.sendall(post())
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        assert silent.recv(1) == b""
        assert idle.recv(1) == b""


def test_a_connection_that_is_idle_after_what_is_no_request_is_closed(gateway: Gateway) -> None:
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as empty,
        socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as late,
    ):
        empty.sendall(b"\r\n")
        late.sendall(post(auth=b"")[: -len(BODY)])
        assert late.recv(65536).startswith(b"HTTP/1.1 401")
        late.sendall(BODY)
        assert empty.recv(1) == b""
        assert late.recv(1) == b""


def test_a_client_that_takes_nothing_of_its_answers_is_given_up(gateway: Gateway) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    with socket.create_connection(("127.0.0.1", gateway.port), 60) as connection, pytest.raises(ConnectionError):
        send_without_end(connection, request)  # the gateway reads no more after a while, and then resets it


def send_without_end(connection: socket.socket, data: bytes) -> None:
    while True:
        connection.sendall(data)


def test_clients_that_go_while_they_are_answered_leave_no_trace(gateway: Gateway) -> None:
    said = len(gateway.said)
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # ends by a reset
            connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
            connection.recv(1)
    assert gateway.get("/health").status == 200
    assert gateway.said[said:] == []


def test_slow_header_fields_are_given_up(gateway: Gateway) -> None:
    refused(gateway, 408, "the header fields did not arrive within 1 s", post()[:40])
    refused(gateway, 408, "the body did not arrive within 1 s", post()[:-3])


def test_localhost_is_listened_at_in_both_families(valkey: Server, start: Start) -> None:
    families = {family for family, *_ in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)}
    gateway = start(valkey.url, "--host", "localhost")
    for family in families:
        address = "::1" if family is socket.AF_INET6 else "127.0.0.1"
        with socket.create_connection((address, gateway.port), timeout=60) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert f"http://[{address}]" in gateway.serving or f"http://{address}" in gateway.serving


# --- clients in other languages -------------------------------------------------------------------------------------

GO = """
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

func main() {
	for n := 0; n < 3; n++ {
		body := fmt.Sprintf(`{"queue": "simple", "data": %d}`, n)
		var reader io.Reader = strings.NewReader(body)
		if n == 2 { // of unknown length: net/http sends it chunked
			reader = io.MultiReader(reader)
		}
		request, err := http.NewRequest("POST", os.Args[1]+"/queue/add", reader)
		if err != nil {
			panic(err)
		}
		request.Header.Set("Authorization", "Bearer "+os.Args[2])
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		fmt.Println(answer.StatusCode)
	}
}
"""


@pytest.mark.slow
def test_gos_http_client_posts_whole_and_chunked(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "main.go").write_text(GO)
    done = subprocess.run(
        [tool("go", "Go's net/http"), "run", "main.go", gateway.url, KEY],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.stdout.split() == ["200"] * 3, done.stderr


def test_httpx_posts_streamed_and_over_one_connection(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.url, headers={"X-API-Key": KEY}, timeout=60) as client:
        assert client.post("/queue/add", content=iter([BODY[:10], BODY[10:]])).status_code == 200
        for path in ("/docs", "/healthz", "/queue/unknown"):
            assert client.get(path).status_code == (404 if "unknown" in path else 200)
        added = client.post("/queue/add-batch", json={"queue": "simple", "jobs": [{"data": 1}] * 1000})
        assert added.json()["enqueued"] == 1000


def test_a_slow_second_request_does_not_take_the_first_ones_answer(valkey: Server, gateway: Gateway) -> None:
    with valkey.client() as client:
        client.client_pause(1500, all=False)  # longer than a body may take
        assert statuses(exchange(gateway, post() + post()[:-3])) == [200]
