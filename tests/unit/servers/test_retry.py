"""Waiting out faults: what is tried again, for how long, and what is told in the end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tenacity import Future

from loader.errors import ConnectionFailedError, RefusedNowError, SinkError, TransientError
from loader.servers.outage import Outage, Waiting
from loader.servers.retry import RECOVERING, Patience, _Pauses, retry
from loader.wire.address import parse_address
from loader.wire.connection import Connection
from loader.wire.faults import RESUME
from tests.conftest import free_port
from tests.unit.wire.peer import answering, listening

LONG = 600.0
"""Seconds that no test waits: a step with this patience is given up by a mistake only."""


class Step:
    """Fails with these errors, one a try, and then succeeds."""

    def __init__(self, *errors: BaseException, seconds: float = 0.0) -> None:
        self.tries = 0
        self._errors = list(errors)
        self._seconds = seconds

    async def __call__(self) -> None:
        self.tries += 1
        await asyncio.sleep(self._seconds)
        if self._errors:
            raise self._errors.pop(0)


def asking(seconds: float) -> TransientError:
    error = TransientError("host:1: overloaded")
    error.retry_after = seconds
    return error


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_step_that_succeeds_is_done_once() -> None:
    step, between = Step(), Step()

    asyncio.run(retry(step, LONG, between=between))

    assert (step.tries, between.tries) == (1, 0)


def test_the_result_is_that_of_the_try_that_succeeded() -> None:
    faults = [TransientError("a"), TransientError("b")]

    async def step() -> int:
        if faults:
            raise faults.pop()
        return 7

    assert asyncio.run(retry(step, LONG)) == 7


def test_a_step_is_repeated_until_it_succeeds_and_each_fault_is_told(caplog: pytest.LogCaptureFixture) -> None:
    step = Step(TransientError("host:1: busy"), TransientError("host:1: loading"))

    asyncio.run(retry(step, LONG))
    assert step.tries == 3
    assert [line.partition("; ")[0] for line in said(caplog)] == ["host:1: busy", "host:1: loading"]
    assert all(line.endswith("; trying again for up to 600 s") for line in said(caplog))


def test_a_real_server_that_comes_up_meanwhile_is_reached() -> None:
    port = free_port()
    address = parse_address(f"redis://127.0.0.1:{port}")

    async def run() -> None:
        async with listening(port) as come_up:

            async def open_it() -> Connection:
                return await Connection.open(address, "name", timeout=10)

            with pytest.raises(ConnectionFailedError, match="connection refused"):
                await retry(open_it, 0)
            connection = await retry(open_it, LONG, between=lambda: come_up(answering({b"GET": b":7\r\n"})))
            assert await connection.call(b"*1\r\n$3\r\nGET\r\n", 1) == [7]
            await connection.close()

    asyncio.run(run())


@pytest.mark.parametrize("error", [SinkError("refused", "Have it mended"), ValueError("a mistake"), KeyError("k")])
def test_what_time_does_not_heal_is_not_tried_again(error: Exception) -> None:
    step = Step(error)

    with pytest.raises(type(error)) as caught:
        asyncio.run(retry(step, LONG))
    assert caught.value is error
    assert step.tries == 1


def test_without_patience_there_is_one_try_and_the_error_is_as_it_was() -> None:
    error = TransientError("host:1: busy")
    step = Step(error)

    with pytest.raises(TransientError) as caught:
        asyncio.run(retry(step, 0))
    assert caught.value is error
    assert step.tries == 1


def test_before_the_server_was_reached_a_connection_that_fails_is_not_tried_again() -> None:
    error = ConnectionFailedError("host:1: connection refused", "Check the address")
    step = Step(error)

    with pytest.raises(ConnectionFailedError) as caught:
        asyncio.run(retry(step, LONG, connected=False))
    assert caught.value is error
    assert step.tries == 1


def test_before_the_server_was_reached_one_that_is_loading_is_waited_for() -> None:
    step = Step(TransientError("host:1: loading"))

    asyncio.run(retry(step, LONG, connected=False))
    assert step.tries == 2


@pytest.mark.parametrize("kind", [TransientError, ConnectionFailedError])
@pytest.mark.parametrize(("hint", "told"), [("Wait for it", "Wait for it"), ("", RESUME.capitalize())])
def test_a_fault_that_lasts_is_told_with_the_patience_that_it_outlasted(
    kind: type[TransientError], hint: str, told: str
) -> None:
    last = kind("host:1: the last fault", hint)
    step = Step(kind("host:1: the first fault"), last, seconds=0.06)

    async def run() -> None:
        # The first try ends within the patience as it counts from this progress, the second one does not.
        progress = time.monotonic() + LONG
        await retry(step, 0.05, progressed_at=lambda: progress if step.tries < 2 else 0.0)

    with pytest.raises(kind) as caught:
        asyncio.run(run())
    assert type(caught.value) is kind
    assert caught.value.args == ("host:1: the last fault; gave up after 0.05 s",)
    assert caught.value.hint == told
    assert caught.value.__cause__ is last


@pytest.mark.parametrize("progress", [True, False])
def test_patience_counts_from_the_last_progress(progress: bool) -> None:
    step = Step(*(TransientError("host:1: busy") for _ in range(3)), seconds=0.06)  # longer than the patience

    def progressed_at() -> float:
        return time.monotonic() if progress else 0.0

    work = retry(step, 0.05, progressed_at=progressed_at)
    if progress:
        asyncio.run(work)
        assert step.tries == 4
    else:
        with pytest.raises(TransientError, match=r"gave up after 0\.05 s"):
            asyncio.run(work)
        assert step.tries == 1


def test_a_server_is_left_alone_for_as_long_as_it_asks(caplog: pytest.LogCaptureFixture) -> None:
    step = Step(asking(0.3))  # the first pause by itself is 0.1 s at most

    asyncio.run(retry(step, LONG))
    assert said(caplog) == ["host:1: overloaded; trying again (in 0.3 s, as it asks) for up to 600 s"]


def test_what_is_done_between_tries_is_done_before_each_further_one() -> None:
    order: list[str] = []
    faults = [TransientError("a"), TransientError("b")]

    async def step() -> None:
        order.append("step")
        if faults:
            raise faults.pop()

    async def between() -> None:
        order.append("between")

    asyncio.run(retry(step, LONG, between=between))
    assert order == ["step", "between", "step", "between", "step"]


def test_what_fails_between_tries_is_a_failed_try() -> None:
    step, between = Step(TransientError("a")), Step(TransientError("b"))

    asyncio.run(retry(step, LONG, between=between))
    assert (step.tries, between.tries) == (2, 2)


def test_what_is_no_fault_between_tries_ends_it() -> None:
    step, between = Step(TransientError("a")), Step(SinkError("refused"))

    with pytest.raises(SinkError, match="refused"):
        asyncio.run(retry(step, LONG, between=between))
    assert (step.tries, between.tries) == (1, 1)


async def _cancelled(step: Callable[[], Awaitable[object]], once: asyncio.Event) -> None:
    """Cancels the waiting once the event is set."""
    task = asyncio.ensure_future(retry(step, LONG))
    await once.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("when", ["during a step", "during a pause"])
def test_a_cancellation_ends_it(when: str) -> None:
    tries = 0

    async def run() -> None:
        begun = asyncio.Event()

        async def step() -> None:
            nonlocal tries
            tries += 1
            begun.set()
            if when == "during a step":
                await asyncio.sleep(LONG)
            raise asking(LONG)

        await _cancelled(step, begun)

    asyncio.run(run())
    assert tries == 1


# --- refusals that may end by themselves ------------------------------------------------------------------------------


def refusal(condition: str) -> RefusedNowError:
    return RefusedNowError(f"host:1: refused ({condition})", "Look at the server", condition)


@pytest.mark.parametrize("condition", sorted(RECOVERING))
def test_a_refusal_that_may_end_by_itself_is_waited_for_once_something_was_written(
    condition: str, caplog: pytest.LogCaptureFixture
) -> None:
    step = Step(refusal(condition))

    asyncio.run(retry(step, LONG))
    assert step.tries == 2
    assert said(caplog) == [f"host:1: refused ({condition}); waiting for up to 600 s"]


@pytest.mark.parametrize("condition", [*sorted(RECOVERING), "OOM"])
def test_before_anything_was_written_a_refusal_is_not_waited_for(condition: str) -> None:
    error = refusal(condition)
    step = Step(error)

    with pytest.raises(RefusedNowError) as caught:
        asyncio.run(retry(step, Patience.of(LONG, full=True), written=lambda: False))
    assert caught.value is error
    assert step.tries == 1


def test_before_anything_was_written_other_faults_are_waited_for() -> None:
    step = Step(TransientError("host:1: loading"), ConnectionFailedError("host:1: connection refused"))

    asyncio.run(retry(step, LONG, written=lambda: False))
    assert step.tries == 3


def test_a_refusal_after_the_first_write_within_a_step_is_waited_for() -> None:
    written = False
    faults = [refusal("READONLY")]

    async def step() -> None:
        nonlocal written
        written = True
        if faults:
            raise faults.pop()

    asyncio.run(retry(step, LONG, written=lambda: written))
    assert faults == []


@pytest.mark.parametrize("full", [True, False])
def test_a_full_server_is_waited_for_only_on_request(full: bool) -> None:
    step = Step(refusal("OOM"))
    work = retry(step, Patience.of(LONG, full=full))

    if full:
        asyncio.run(work)
    else:
        with pytest.raises(RefusedNowError, match="OOM"):
            asyncio.run(work)
    assert step.tries == (2 if full else 1)


def test_a_refusal_that_lasts_keeps_its_condition_and_hint() -> None:
    step = Step(*(refusal("READONLY") for _ in range(2)), seconds=0.06)

    with pytest.raises(RefusedNowError, match=r"refused \(READONLY\); gave up after 0\.05 s") as caught:
        asyncio.run(retry(step, 0.05))
    assert (caught.value.condition, caught.value.hint) == ("READONLY", "Look at the server")


# --- what is told -----------------------------------------------------------------------------------------------------


def test_many_steps_that_wait_for_one_server_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    patience = Patience(LONG)

    async def run() -> None:
        steps = [Step(*(TransientError("host:1: busy") for _ in range(4))) for _ in range(8)]
        await asyncio.gather(*(retry(step, patience) for step in steps))
        assert [step.tries for step in steps] == [5] * 8

    asyncio.run(run())
    lines = said(caplog)
    answers = [r.getMessage() for r in caplog.records if "answers again" in r.getMessage()]
    # A step that succeeds ends the outage. One that fails after that tells it anew.
    assert lines[0] == "host:1: busy; trying again for up to 600 s"
    assert len(lines) == len(answers) <= 8
    assert not patience.outage.is_on


def test_a_line_says_how_long_a_server_has_been_waited_for_and_how_long_it_will_be() -> None:
    waiting = Waiting("host:1: busy; trying again", since=100.0, seconds=60.0)

    assert waiting.line(100.4) == "host:1: busy; trying again for up to 60 s"
    assert waiting.line(112.7) == "host:1: busy; trying again, 12 s of 60 s"
    assert Waiting("gone", 0.0, float("inf")).line(12.0) == "gone, for 12 s so far"
    assert Waiting("gone", 0.0, float("inf")).line(0.0) == "gone"


def test_the_end_of_an_outage_that_was_never_told_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    Outage().over()
    assert caplog.records == []


def test_pauses_grow_without_progress_and_begin_anew_with_it() -> None:
    progress = 0.0
    pauses = _Pauses(lambda: progress)
    state: Any = Failed(TransientError("host:1: busy"))

    for _ in range(40):
        assert 0 <= pauses(state) <= 2.0
    assert max(pauses(state) for _ in range(50)) > 0.5

    progress = 1.0
    assert pauses(state) <= 0.1
    assert pauses(state) <= 0.2
    progress = 2.0
    assert pauses(state) <= 0.1


class Failed:
    """The state of a retry, as tenacity hands it to the function that says how long to pause."""

    def __init__(self, error: Exception) -> None:
        self.outcome = Future(1)
        self.outcome.set_exception(error)


def test_what_a_step_inside_has_said_is_not_said_again() -> None:
    step = Step(*(TransientError("host:1: a fault") for _ in range(1000)), seconds=0.01)

    with pytest.raises(TransientError) as caught:
        asyncio.run(retry(lambda: retry(step, 0.05), 0.05))

    assert caught.value.args == ("host:1: a fault; gave up after 0.05 s",)
