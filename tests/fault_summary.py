"""Prints the faults that the tests made, over all processes of a run. With ``--all-faults``, too few are a failure."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fault_counts import lacking, made, summary


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("faults").addoption(
        "--all-faults", action="store_true", help="fail if the tests made fewer faults than a run of all of them must"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object | None) -> None:
    """pytest-xdist: a process has ended."""
    made.update(getattr(node, "workeroutput", {}).get("faults", {}))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["faults"] = {str(fault): times for fault, times in made.items()}
    elif session.config.getoption("all_faults") and lacking(made) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if +made:
        terminalreporter.write_line(f"faults: {summary(made)}")
    if config.getoption("all_faults") and (few := lacking(made)):
        terminalreporter.write_line(f"too few faults: {', '.join(few)}", red=True)
