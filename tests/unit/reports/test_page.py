"""The page of a report: complete in itself, and nothing in it is taken for HTML that is not."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from loader.reports.page import page
from tests.unit.reports.reports import around, report

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Parsed(HTMLParser):
    """The elements of a page, which must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    return report(around(100, 70, 1), latency_ms=8)


def test_nothing_in_it_points_outside(full: dict[str, Any]) -> None:
    text = page(full)

    parsed = Parsed(text)
    assert not parsed.tags() & {"script", "iframe", "object", "embed", "img", "form", "base"}
    for tag, attributes in parsed.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith("#") or (tag, target) == ("link", "data:,")
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert "http://" not in text and "https://" not in text


def test_every_id_is_there_once_and_every_reference_has_one(full: dict[str, Any]) -> None:
    text = page(full)

    ids = [attributes["id"] for _, attributes in Parsed(text).elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text)
    assert {one or other for one, other in used} <= set(ids)


def test_every_chart_has_a_name_and_a_text(full: dict[str, Any]) -> None:
    elements = Parsed(page(full)).elements

    ids = {attributes.get("id") for _, attributes in elements}
    charts = [attributes for tag, attributes in elements if tag == "svg"]
    assert len(charts) == 7
    for chart in charts:
        assert chart["role"] == "img"
        assert set((chart["aria-labelledby"] or "").split()) <= ids


EVIL = "</title><script>alert(1)</script><img src=//x.y onerror=alert(2)>"


def test_texts_of_users_are_no_html(full: dict[str, Any]) -> None:
    evil = {**full, "job": EVIL, "error": EVIL, "command": EVIL, "failed_conditions": [EVIL], "options": {EVIL: EVIL}}
    evil["rejected_by_code"] = {"invalid_json": 3}
    evil["rejected_examples"] = [{"code": "invalid_json", "count": 3, "place": EVIL, "reason": EVIL, "record": EVIL}]
    evil["queues"] = {EVIL: 1}
    evil["sources"] = [{**full["sources"][0], "name": EVIL}]
    evil["server"] = {**full["server"], "make": EVIL, "version": EVIL}
    evil["machine"] = {**full["machine"], "cpu": EVIL}
    evil["pace"] = {**full["pace"], "profile": EVIL}

    parsed = Parsed(page(evil))

    assert not parsed.tags() & {"script", "img"}
    assert parsed.words.count(EVIL) >= 12


def test_the_figures_are_those_of_the_report(full: dict[str, Any]) -> None:
    elements = Parsed(page(full)).elements

    shown = {str(one["id"]).removeprefix("figure-"): one["value"] for tag, one in elements if tag == "data"}
    assert shown["loaded"] == str(full["loaded"])
    assert shown["tasks_per_second"] == str(full["tasks_per_second"])
    for name in ("p50", "p99", "max"):
        assert shown[name] == str(full["latency"][name])
    assert shown["pending"] == str(max(point["pending"] for point in full["series"]["points"]))


def test_a_load_without_series_has_a_page_without_charts_over_time() -> None:
    parsed = Parsed(page(report(loaded=10)))

    assert "svg" not in parsed.tags()
    assert "without --series" in parsed.words


def test_a_load_that_failed_before_its_first_task_has_a_page() -> None:
    failed = {**report([0]), "status": "failed", "error": "localhost:6379: connection refused", "server": None}

    assert "connection refused" in Parsed(page(failed)).words


def test_one_latency_is_enough_for_all_charts() -> None:
    assert Parsed(page(report([1], latency_ms=8))).tags() >= {"svg"}
