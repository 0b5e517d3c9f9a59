"""The page of a load in a real browser, as a user opens it: from a file, without a network."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, sync_playwright

from loader.reports.figures import FIGURES
from tests.cli import run
from tests.conftest import Server

PROGRAMS = ("chromium-headless-shell", "chromium", "google-chrome")


@pytest.fixture
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("no browser is installed (Debian: apt-get install chromium-headless-shell)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
def test_it_shows_the_figures_of_the_report_and_asks_nobody_for_anything(
    valkey: Server, tmp_path: Path, browser: Browser, width: int, scheme: Literal["light", "dark"]
) -> None:
    (tmp_path / "t.json").write_text('{"n": "{{ int(1, 6) }}"}')
    done = run(
        "load", "--generate", "t.json", "--count", "500", "-q", "q", "--redis", valkey.url, "--rate", "200/s",
        "--html", "report.html", "--report", "report.json", "--fail-if", "pending>10", cwd=tmp_path,
    )  # fmt: skip
    assert done.status == 4, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    messages: list[str] = []
    requests: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    view = context.new_page()
    view.on("console", lambda message: messages.append(message.text))
    view.on("pageerror", lambda error: messages.append(str(error)))
    view.on("request", lambda request: requests.append(request.url))

    view.goto((tmp_path / "report.html").as_uri())

    assert messages == []
    assert requests == [(tmp_path / "report.html").as_uri()]
    for name in ("tasks_per_second", "p50", "p99", "max", "rejected", "rate_error", "pending"):
        shown, value = view.locator(f"[id='figure-{name}']"), FIGURES[name].read(report)
        assert value is not None
        assert float(shown.get_attribute("value") or "") == value
        assert shown.inner_text() == FIGURES[name].text(value)
        assert shown.is_visible()
    assert view.locator("#failed-conditions li").all_inner_texts() == report["failed_conditions"]
    assert view.locator("#command").inner_text() == report["command"]
    charts = view.locator("svg[role=img]")
    assert charts.count() >= 4
    for chart in charts.all():
        box = chart.bounding_box()
        assert box is not None and box["width"] > 300 and box["height"] > 100
    assert view.evaluate("document.documentElement.scrollWidth") == width, "nothing sticks out"
    ink, paper = view.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (_brightness(ink) < _brightness(paper)) == (scheme == "light")
    context.close()


def _brightness(color: str) -> int:
    return sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))
