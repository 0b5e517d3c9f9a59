"""The Python API: iterables, paths, stopping, wrong options."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import loader
from tests.integration.tool import (
    Redis,
    Tool,
    payloads,
)


async def stream(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


def generated(items: list[Any]) -> Iterator[Any]:
    yield from items


@pytest.mark.parametrize("make", [list, generated, stream], ids=["list", "generator", "async generator"])
def test_any_iterable_of_payloads_can_be_loaded(tool: Tool, db: Redis, make: Callable[[list[Any]], Any]) -> None:
    items = [{"ü": [1, None]}, b'{"kept":  "as it is"}', bytearray(b"2"), memoryview(b"3"), "text", 4.5, [True], None]

    report = asyncio.run(loader.load(make(items), queue="q", redis=tool.url, workers=1, batch_size=3))

    assert (report.status, report.exit_status, report.loaded, report.records_read) == ("completed", 0, 8, 8)
    assert report.queues == {"q.default": 8}
    assert payloads(db, "q.default") == [
        '{"ü":[1,null]}'.encode(),
        *(b'{"kept":  "as it is"}', b"2", b"3", b'"text"', b"4.5", b"[true]", b"null"),
    ]


def test_paths_can_be_loaded_from_python(tool: Tool, db: Redis) -> None:
    one, two = tool.write("1.jsonl", b"1\n"), tool.write("2.json", b"2")

    async def all_of_them() -> list[int]:
        async with loader.Loader(queue="q", redis=tool.url, again=True) as loads:
            given: tuple[Any, ...] = (str(one), two, [one, str(two)])
            return [(await loads.load(paths)).loaded for paths in given]

    assert asyncio.run(all_of_them()) == [1, 1, 2]


def test_what_cannot_be_written_as_json_is_set_aside_once_however_often_it_is_loaded(
    tool: Tool, db: Redis, tmp_path: Path
) -> None:
    items: list[Any] = [{"id": 1}, {"id": 2, "tags": {"a"}}, {"id": 3}, {"id": Decimal("4.5")}]

    first, again = (
        asyncio.run(loader.load(items, queue="q", redis=tool.url, id_field="id", rejects=tmp_path / "r.jsonl", job="j"))
        for _ in range(2)
    )

    assert (first.records_read, first.loaded, first.rejected, first.exit_status) == (4, 2, 2, 3)
    assert (again.loaded, again.already_loaded, again.rejected) == (0, 2, 2)
    assert payloads(db, "q.default") == [b'{"id":1}', b'{"id":3}']
    rejects = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [(reject["line"], reject["record"]) for reject in rejects] == [
        (2, "{'id': 2, 'tags': {'a'}}"),
        (4, "{'id': Decimal('4.5')}"),
    ]
    assert all("cannot be written as JSON: Type is not JSON serializable" in reject["reason"] for reject in rejects)


def test_bytes_that_are_not_json_are_rejected(tool: Tool, tmp_path: Path) -> None:
    report = asyncio.run(
        loader.load([b"{", b"1", b"2\n"], queue="q", redis=tool.url, rejects=tmp_path / "r.jsonl", job="j")
    )

    assert (report.exit_status, report.records_read, report.loaded, report.rejected) == (3, 3, 2, 1)
    (reject,) = map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    assert (reject["source"], reject["line"], reject["record"]) == ("payloads", 1, "{")


def test_a_job_of_payloads_is_resumed_by_its_name_and_refuses_others(tool: Tool, db: Redis) -> None:
    items = [{"n": n} for n in range(250)]

    async def broken() -> AsyncIterator[dict[str, int]]:
        for item in items[:150]:
            yield item
        raise ConnectionError("the database went away")

    async def scenario() -> None:
        async with loader.Loader(queue="q", redis=tool.url, job="j", batch_size=20) as loads:
            with pytest.raises(ConnectionError, match="went away"):
                await loads.load(broken())
            failed = loads.report
            assert failed is not None
            assert failed.status == "failed"
            resumed = await loads.load(stream(items))
            assert resumed.status == "completed"
            assert resumed.loaded + resumed.already_loaded == 250
            again = await loads.load(items)
            assert (again.loaded, again.already_loaded) == (0, 250)
            with pytest.raises(loader.LoaderError, match="job j has loaded"):
                await loads.load([{"n": -1}, *items])

    asyncio.run(scenario())
    assert sorted(json.loads(p)["n"] for p in payloads(db, "q.default")) == list(range(250))


@pytest.mark.parametrize("given", [b'{"a": 1}', {"a": 1}, 5, None], ids=["bytes", "dict", "int", "None"])
def test_one_payload_is_not_an_iterable_of_payloads(tool: Tool, db: Redis, given: Any) -> None:
    with pytest.raises((TypeError, loader.LoaderError)):
        asyncio.run(loader.load(given, queue="q", redis=tool.url))
    assert db.keys("asynq:*") == []


def test_a_stop_ends_a_load_soon_whenever_it_comes_and_the_job_goes_on_later(tool: Tool, db: Redis) -> None:
    async def endless(then: Callable[[], None]) -> AsyncIterator[int]:
        yield 0
        await asyncio.sleep(1)
        then()
        await asyncio.sleep(600)

    async def scenario() -> None:
        options = loader.LoadOptions(queue="q", redis=tool.url, job="j", batch_size=1)
        early = loader.Loader(options)
        async with early:
            stopping = asyncio.create_task(early.load(stream([0, 1])))
            await asyncio.sleep(0)
            early.stop()
            report = await asyncio.wait_for(stopping, 60)
            assert (report.status, report.exit_status) == ("interrupted", 130)
        late = loader.Loader(options)
        async with late:
            report = await asyncio.wait_for(late.load(endless(late.stop)), 60)
            assert (report.status, report.loaded) == ("interrupted", 1)
        report = await loader.load([0, 1], queue="q", redis=tool.url, job="j", batch_size=1)
        assert (report.status, report.loaded + report.already_loaded) == ("completed", 2)

    asyncio.run(scenario())
    assert sorted(payloads(db, "q.default")) == [b"0", b"1"]


@pytest.mark.parametrize(("more", "status"), [(0, "completed"), (40, "interrupted")], ids=["and ends", "and goes on"])
def test_a_stop_ends_a_load_whose_iterable_catches_the_cancellation(tool: Tool, more: int, status: str) -> None:
    async def scenario() -> loader.LoadReport:
        async with loader.Loader(queue="q", redis=tool.url, batch_size=1, workers=2, queue_depth=3) as loads:

            async def deaf() -> AsyncIterator[int]:
                yield 0
                loads.stop()
                with suppress(asyncio.CancelledError):  # as asyncio.wait_for does now and then before Python 3.12
                    await asyncio.sleep(600)
                for number in range(more):
                    yield number

            return await asyncio.wait_for(loads.load(deaf()), 60)

    report = asyncio.run(scenario())

    assert (report.status, report.loaded) == (status, 1)


def test_wrong_options_are_refused_when_the_loader_is_made() -> None:
    with pytest.raises(loader.LoaderError, match="no queue"):
        loader.Loader()
    with pytest.raises(loader.LoaderError, match="empty part"):
        loader.Loader(queue="a.")
    with pytest.raises(loader.LoaderError, match="URL"):
        loader.Loader(queue="q", redis="http://localhost")
    with pytest.raises(TypeError):
        loader.Loader(queue="q", no_such_option=1)  # type: ignore[call-arg]


def test_a_parameter_that_does_not_exist_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(TypeError, match=r"^there is no option 'quee'; did you mean 'queue'\?$"):
        asyncio.run(loader.load([], quee="q"))  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^there is no option 'zzz'$"):
        loader.Loader(zzz=1)  # type: ignore[call-arg]
