"""Which kind of target a load has, and what is done with it: the whole table."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from loader.engine.messages import pack, receive
from loader.engine.part import Destination
from loader.engine.targets.base import LoadTarget, Preflight
from loader.engine.targets.embedded import EmbeddedTarget
from loader.engine.targets.http import HttpTarget
from loader.engine.targets.nowhere import Nowhere, discarded, validated
from loader.engine.targets.redis import RedisTarget
from loader.engine.targets.redis_channel import into_redis
from loader.engine.targets.registry import target_for
from loader.errors import UsageError
from loader.preflight.choice import choose_layout
from loader.preflight.examine import check_before_load
from loader.settings import DEFAULT_REDIS, LoadOptions
from loader.wire.address import Place
from loader.wire.target import Target, ToDiscard, ToEmbedded, ToHttp, ToRedis

API = "http://localhost:3000"


def made(fields: dict[str, Any]) -> LoadTarget:
    options = LoadOptions(queue="q", **fields)
    options.check()
    return target_for(options, Preflight(choose_layout, check_before_load))


@pytest.mark.parametrize(
    ("fields", "target", "kind"),
    [
        ({}, ToRedis(DEFAULT_REDIS), RedisTarget),
        ({"redis": "redis://h:1/2"}, ToRedis("redis://h:1/2"), RedisTarget),
        ({"redis": "embedded"}, ToEmbedded(None), EmbeddedTarget),
        ({"redis": "embedded", "embedded_dir": Path("d")}, ToEmbedded(Path("d")), EmbeddedTarget),
        ({"to": API}, ToHttp(API), HttpTarget),
        ({"redis": "discard"}, ToDiscard(), Nowhere),
    ],
)
def test_the_options_decide_on_the_target(fields: dict[str, Any], target: Target, kind: type) -> None:
    assert LoadOptions(queue="q", **fields).target == target
    assert type(made(fields)) is kind


@pytest.mark.parametrize("redis", ["redis://h:1/0", "embedded", "discard"])
def test_over_http_a_redis_that_the_environment_names_is_not_the_target(
    monkeypatch: pytest.MonkeyPatch, redis: str
) -> None:
    monkeypatch.setenv("REDIS_URL", redis)
    assert type(made({"to": API, "redis": redis})) is HttpTarget
    dry = made({"to": API, "redis": redis, "dry_run": True})
    assert isinstance(dry, Nowhere) and dry.destination is validated


@pytest.mark.parametrize("fields", [{}, {"redis": "embedded"}, {"to": API}])
def test_a_dry_run_validates_whatever_the_target_is(fields: dict[str, Any]) -> None:
    target = made({**fields, "dry_run": True})
    assert isinstance(target, Nowhere) and target.destination is validated


@pytest.mark.parametrize("dry_run", [False, True])
def test_to_discard_is_to_encode(dry_run: bool) -> None:
    target = made({"redis": "discard", "dry_run": dry_run})
    assert isinstance(target, Nowhere) and target.destination is discarded


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_url_that_is_none_is_refused_before_anything_is_read(dry_run: bool) -> None:
    with pytest.raises(UsageError, match="--redis is not a usable URL"):
        made({"redis": "http://h", "dry_run": dry_run})


@pytest.mark.parametrize(
    "destination", [validated, discarded, partial(into_redis, Place("redis://h:1/0", None), False)]
)
def test_a_destination_reaches_other_processes_as_it_is(destination: Destination) -> None:
    async def sent() -> object:
        pipe = asyncio.StreamReader()
        pipe.feed_data(pack(destination))
        return await receive(pipe)

    there = asyncio.run(sent())
    if isinstance(destination, partial):
        assert isinstance(there, partial) and (there.func, there.args) == (destination.func, destination.args)
    else:
        assert there is destination
