"""A stop of ``runqy-loader consume`` at any moment: what was taken is done or put back, and nobody stays registered."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from loader.consume.run import Consumer
from tests.cli import command, environment
from tests.conftest import Server
from tests.integration.consuming import LAYOUTS, assert_left_in_order, enqueue, options, registered

SEED = 15

How = Callable[[Consumer, "asyncio.Task[Any]"], None]


def _in_order(consumer: Consumer, running: asyncio.Task[Any]) -> None:
    consumer.stop()


def _at_once(consumer: Consumer, running: asyncio.Task[Any]) -> None:
    """A second signal comes with the first one."""
    consumer.stop()
    running.cancel()


def _cancelled(consumer: Consumer, running: asyncio.Task[Any]) -> None:
    running.cancel()


async def _stopped_after(turns: int, url: str, layout: str, how: How, **given: Any) -> dict[str, Any]:
    """Consumes, and stops it after so many turns of the event loop. Returns its report."""
    consumer = Consumer(options(url, layout, **{"service_time": "1ms", "consumers": 7, "grace": 0, **given}))
    running = asyncio.ensure_future(consumer.run())
    for _ in range(turns):
        await asyncio.sleep(0)
    how(consumer, running)
    await asyncio.wait([running])
    if not running.cancelled():
        running.result()
    return consumer.report.to_dict()


@pytest.mark.parametrize("how", [_in_order, _at_once, _cancelled])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stop_after_any_number_of_steps_leaves_in_order(
    valkey: Server, layout: str, how: Callable[[Consumer, asyncio.Task[Any]], None]
) -> None:
    drawn = random.Random(SEED)
    taken = 0
    with valkey.client() as db:
        for turns in [*range(0, 60, 3), *(drawn.randrange(60, 3000) for _ in range(30))]:
            db.flushall()
            names = enqueue(db, layout, 60)
            report = uvloop.run(_stopped_after(turns, valkey.url, layout, how))
            assert_left_in_order(db, layout, report, names, f"stopped after {turns} turns of the event loop")
            taken += report["taken"]
    assert taken > 60


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_stop_puts_back_also_what_is_not_to_be_retried(valkey: Server, layout: str) -> None:
    with valkey.client() as db:
        names = enqueue(db, layout, 2500)

        report = uvloop.run(
            _stopped_after(3000, valkey.url, layout, _in_order, service_time="1h", consumers=2500, retry_for=0)
        )

        assert_left_in_order(db, layout, report, names)
        assert report["put_back"] == report["taken"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_signals_at_random_moments_leave_in_order(valkey: Server, layout: str, tmp_path: Path) -> None:
    drawn = random.Random(SEED)
    taken = 0
    with valkey.client() as db:
        for number in range(12):
            db.flushall()
            names = enqueue(db, layout, 3000)
            log = tmp_path / f"stderr-{number}"
            with log.open("wb") as stderr:
                arguments = ("consume", "-q", "q", "--layout", layout, "--redis", valkey.url, "--grace", "0")
                process = subprocess.Popen(
                    command(*arguments, "--service-time", "uniform(0ms, 3ms)", "--report", "-", "-c", "20"),
                    cwd=tmp_path,
                    env=environment(),
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                )
                try:
                    while not registered(db):
                        assert process.poll() is None, log.read_text()
                        time.sleep(0.005)
                    time.sleep(drawn.uniform(0, 0.2))
                    process.send_signal(drawn.choice((signal.SIGINT, signal.SIGTERM)))
                    out, _ = process.communicate(timeout=60)
                finally:
                    process.kill()
                    process.wait()
            said = log.read_text()
            assert process.returncode == 0, said
            report = json.loads(out)
            assert_left_in_order(db, layout, report, names, said)
            taken += report["taken"]
    assert taken > 100
