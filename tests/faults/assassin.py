"""Kills loads at random moments, several times in a row, then has them resumed.

The moments are drawn from a seed: some are times from the start on, most are counted in what the loader has sent, so
that they fall into loading on any machine: before or after a piece of a batch or a commit reached the server, with its
other connections still delivering or cut, and just before the job is noted as done.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.cli import Outcome
from tests.faults.helpers import Load, assert_tidy
from tests.faults.proxy import COMMIT, Link, Verdict
from tests.faults.scene import Scene

FINISHED = b"finished"
"""A word of the step that notes the job as done, the last one of a load."""


class Assassin:
    """Kills loads at moments drawn from a seed."""

    def __init__(self, scene: Scene, seed: int | str, kills: int = 4) -> None:
        self._scene = scene
        self._proxy = scene.proxy
        self._random = random.Random(seed)
        self._kills = kills
        self._proxy.latency = 0.01

    def run(self, *more: str) -> Outcome:
        """Starts the load and kills it, so often, then lets it end; the last outcome."""
        for number in range(self._kills):
            moment = self._random.choice((self._by_time, self._at_chunk, self._at_chunk, self._at_commit))
            if number == self._kills - 1 and self._random.random() < 0.5:
                moment = self._at_the_end
            with self._scene.beside(*more) as running:
                sleep = moment(running)
                if sleep is not None:
                    time.sleep(sleep)
                    running.strike()
                outcome = running.wait()
                assert outcome.status == -9, f"not killed, {moment.__name__}: {outcome}"
                assert_tidy(outcome)
            self._proxy.go_on()
        return self._scene.load(*more)

    def _by_time(self, running: Load) -> float | None:
        # However late the kill comes, the load is not over before.
        self._proxy.rule = lambda link, chunk: Verdict.WAIT if FINISHED in chunk else None
        return self._random.uniform(0, 0.5)

    def _at_chunk(self, running: Load) -> None:
        self._on_nth(running, self._random.randint(1, 25), lambda link, chunk: link.is_worker)

    def _at_commit(self, running: Load) -> None:
        self._on_nth(running, self._random.randint(1, 12), lambda link, chunk: link.is_worker and COMMIT in chunk)

    def _at_the_end(self, running: Load) -> None:
        self._on_nth(running, 1, lambda link, chunk: FINISHED in chunk)

    def _on_nth(self, running: Load, count: int, counts: Callable[[Link, bytes], bool]) -> None:
        verdict = self._random.choice((Verdict.PASS, Verdict.CUT, Verdict.EXECUTE_AND_CUT))
        everything = self._random.random() < 0.5
        left = count

        def rule(link: Link, chunk: bytes) -> Verdict | None:
            nonlocal left
            if not running.running or left <= 0 or not counts(link, chunk):
                return None
            left -= 1
            if left:
                return None
            running.strike()
            if everything:  # as if the whole host had died: what is under way on other connections is lost as well
                self._proxy.cut()
            return verdict

        self._proxy.rule = rule
