"""Jobs of each system as its library stores them, and what cannot be read.

The texts are shaped as those that the real libraries wrote; ``tests/interop/test_other_systems.py`` runs the libraries.
"""

from __future__ import annotations

import base64
import bz2
import json
import zlib
from typing import Any, get_args

import pytest

from loader.errors import UsageError
from loader.foreign import bee_queue, bullmq, celery, dramatiq, rq, saq, sidekiq, taskiq
from loader.foreign.job import UnreadableJobError, json_object
from loader.foreign.registry import SYSTEMS, system_of
from loader.foreign.system import Where
from loader.migrate.options import SystemName

NUMBERS = '{"price": 1.10, "id": 123456789012345678901234567890}'


def element(body: bytes = b"", /, **changes: Any) -> bytes:
    """A message of Celery. ``changes`` replace parts of it, by name."""
    parts: dict[str, Any] = {
        "body": base64.b64encode(body or f"[[1], {NUMBERS}, {{}}]".encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": changes.pop("kind", "application/json"),
        "headers": {"task": "shop.send", "id": "id-1", **changes.pop("headers", {})},
        "properties": {"body_encoding": "base64", "priority": 0, **changes.pop("properties", {})},
    }
    return json.dumps(parts | changes).encode()


def test_numbers_keep_their_text() -> None:
    assert celery.read(element()).arguments == f'{{"args":[1],"kwargs":{NUMBERS}}}'.encode()


@pytest.mark.parametrize(("name", "pack"), [("application/x-gzip", zlib.compress), ("application/x-bz2", bz2.compress)])
def test_celery_compressed(name: str, pack: Any) -> None:
    job = celery.read(element(pack(b'[["a"], {}, {"chord": null}]'), headers={"compression": name}))
    assert (job.arguments, job.lost) == (b'{"args":["a"],"kwargs":{}}', ())


def test_celery_times_and_what_follows() -> None:
    headers = {"eta": "2026-11-28T10:00:00.5+00:00", "expires": "2026-11-28T11:00:00", "retries": 2}
    body = b'[[], {}, {"callbacks": [{"task": "x"}], "chain": null, "errbacks": null}]'
    job = celery.read(element(body, headers=headers, properties={"priority": 5}))
    assert (job.start_at, job.deadline, job.retried) == (1795860000.5, 1795863600.0, 2)
    assert job.lost == ("callbacks", "priority")


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (b"{}", "no message of Celery's protocol 2"),
        (b"not JSON", "no message of Celery's protocol 2"),
        (element(headers={"task": None}), "names no task or no id"),
        (element(kind="application/x-python-serialize"), "would have to be run to be read"),
        (element(kind="application/x-yaml"), "application/x-yaml, not JSON$"),
        (element(b"[1]"), "its body cannot be read"),
        (element(b"[[NaN], {}, {}]"), "its body cannot be read"),
        (element(headers={"compression": "application/x-lzma"}), "compressed as application/x-lzma"),
        (element(b"xyz", headers={"compression": "application/x-gzip"}), "compressed data is damaged"),
        (element(zlib.compress(b"[[]")[:-3], headers={"compression": "application/x-gzip"}), "cut off"),
        (element(headers={"eta": "tomorrow"}), "no ISO time"),
    ],
)
def test_celery_refused(stored: bytes, why: str) -> None:
    with pytest.raises(UnreadableJobError, match=why):
        celery.read(stored)


def rq_fields(data: bytes, **more: str) -> dict[bytes, bytes]:
    return {b"data": zlib.compress(data), **{name.encode(): value.encode() for name, value in more.items()}}


def test_rq() -> None:
    data = f'["shop.send", null, [1], {NUMBERS}]'.encode()
    job = rq.read(b"id-1", rq_fields(data, retries_left="4", timeout="-1", success_callback_name="x"), 7.0)
    assert (job.id, job.name, job.start_at, job.max_retry, job.timeout) == ("id-1", "shop.send", 7.0, 4, 0)
    assert job.arguments == f'{{"args":[1],"kwargs":{NUMBERS}}}'.encode()
    assert job.lost == ("success callback",)
    assert NUMBERS.encode() in job.document
    assert json.loads(job.document)["id"] == "id-1"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (rq_fields(b"\x80\x04K\x01."), "are a pickle"),
        (rq_fields(b"[1, 2]"), "not function, instance, args and kwargs"),
        (rq_fields(b'["f", "object", [], {}]'), "of an object"),
        (rq_fields(b'["f", null, [], {}]', timeout="soon"), "timeout"),
        ({b"data": b"plain"}, "damaged"),
        ({}, "cut off"),
    ],
)
def test_rq_refused(fields: dict[bytes, bytes], why: str) -> None:
    with pytest.raises(UnreadableJobError, match=why):
        rq.read(b"id-1", fields, 0.0)


def test_bullmq() -> None:
    fields = {b"name": b"send", b"data": NUMBERS.encode(), b"opts": b'{"attempts":3}', b"atm": b"1", b"parentKey": b"p"}
    job = bullmq.read(b"7", fields, 0.0)
    assert (job.arguments, job.max_retry, job.retried, job.lost) == (NUMBERS.encode(), 2, 1, ("parent",))
    assert json.loads(job.document)["opts"] == {"attempts": 3}


@pytest.mark.parametrize(
    "changes", [{b"data": b"{"}, {b"opts": b"[]"}, {b"atm": b"x"}, {b"opts": b'{"attempts": [1]}'}, {b"data": b""}]
)
def test_bullmq_refused(changes: dict[bytes, bytes]) -> None:
    with pytest.raises(UnreadableJobError, match="not BullMQ's"):
        bullmq.read(b"7", {b"name": b"send", b"data": b"{}", b"opts": b"{}"} | changes, 0.0)


def test_sidekiq() -> None:
    texts = [
        b'{"class":"JobWrapper","wrapped":"Send","args":[1],"jid":"a","queue":"mail","retry":true,"retry_count":0}',
        b'{"class":"Send","args":[2],"jid":"b","queue":"other","retry":false}',
        b"broken",
    ]
    system = sidekiq.Sidekiq(Where("mail"))
    found = system._found([(text, 0.0) for text in texts], only_own=True)
    (job,) = found.jobs
    assert (job.id, job.name, job.arguments, job.max_retry, job.retried) == ("a", "Send", b"[1]", 25, 1)
    assert [name for name, _ in found.refused] == [b"broken"]


def test_dramatiq() -> None:
    options = {"retries": 1, "max_retries": 4, "eta": 5000, "on_success": "x", "on_failure": "y"}
    text = b'{"actor_name":"send","args":[],"kwargs":%b,"message_id":"m","options":%b}' % (
        NUMBERS.encode(),
        json.dumps(options).encode(),
    )
    job = dramatiq.read(b"redis-id", text, 0.0)
    assert (job.id, job.start_at, job.max_retry, job.retried, job.lost) == ("m", 5.0, 4, 1, ("callbacks",))
    assert job.arguments == f'{{"args":[],"kwargs":{NUMBERS}}}'.encode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"\x80\x04K\x01.", "seems to be a pickle"),
        (b"{}", "no JSON message"),
        (
            b'{"actor_name":"a","args":[],"kwargs":{},"message_id":"m","options":{"retries":"x"}}',
            "retries is no number",
        ),
    ],
)
def test_dramatiq_refused(text: bytes, why: str) -> None:
    with pytest.raises(UnreadableJobError, match=why):
        dramatiq.read(b"redis-id", text, 0.0)


def test_saq() -> None:
    job = saq.read(b"k", b'{"function":"f","kwargs":null,"retries":3,"attempts":1,"timeout":null}', 9.0)
    assert (job.id, job.arguments, job.max_retry, job.retried, job.timeout, job.start_at) == ("k", b"{}", 2, 1, 0, 9.0)


def test_bee_queue() -> None:
    job = bee_queue.read(b"3", b'{"data":{"price":1.10},"options":{"retries":2,"timeout":1500}}', 0.0)
    assert (job.id, job.arguments, job.max_retry, job.timeout) == ("3", b'{"price":1.10}', 2, 2)


def test_taskiq() -> None:
    text = b'{"task_id":"t","task_name":"n","labels":{"max_retries":"4","_retries":"1"},"args":[1.10],"kwargs":{}}'
    job = taskiq.read(text)
    assert (job.id, job.name, job.arguments) == ("t", "n", b'{"args":[1.10],"kwargs":{}}')
    assert (job.max_retry, job.retried, job.lost) == (4, 1, ())


@pytest.mark.parametrize("read", [saq.read, bee_queue.read])
def test_texts_refused(read: Any) -> None:
    for text in (b"", b"[]", b"{", b"\x80\x04", b'"' * 5, b"[" * 5000):
        with pytest.raises(UnreadableJobError):
            read(b"name", text, 0.0)


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\x80\x04", b"[" * 5000])
def test_elements_refused(text: bytes) -> None:
    for read in (celery.read, taskiq.read):
        with pytest.raises(UnreadableJobError):
            read(text)


def test_an_object_of_texts() -> None:
    assert json_object([("a", b"1.10"), ('"', b"null")]) == b'{"a":1.10,"\\"":null}'


def test_options_name_the_systems_that_there_are() -> None:
    for name in get_args(SystemName):
        if name in ("arq", "huey"):
            with pytest.raises(UsageError, match="pickles"):
                system_of(name, Where("mail"))
        else:
            assert type(system_of(name, Where("mail"))) is SYSTEMS[name]
    assert set(SYSTEMS) | {"arq", "huey"} == set(get_args(SystemName))
    with pytest.raises(UsageError, match="--from-system must be one of bee-queue, bullmq"):
        system_of("resque", Where("mail"))
