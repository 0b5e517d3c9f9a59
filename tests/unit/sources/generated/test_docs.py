"""The tables of docs/generate.md: each row makes what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from loader.sources.generated.placeholders import PLACEHOLDERS
from tests.unit.sources.generated.conftest import Make

DOCS = (Path(__file__).parents[4] / "docs" / "generate.md").read_text()


def rows() -> list[tuple[str, list[str]]]:
    found = re.findall(r"^\| `(.+?)` \| (`.+`) \| ", DOCS, re.MULTILINE)
    return [(template, values[1:-1].split("` `")) for template, values in found]


def examples() -> list[tuple[str, str]]:
    section = DOCS.partition("## Names, addresses")[2].partition("\n## ")[0]
    return re.findall(r"^\| `(.+?)` \| `(.+?)`", section, re.MULTILINE)


def test_the_tables_are_read_and_have_every_placeholder() -> None:
    assert len(rows()) == 30
    named = set(re.findall(r"[{]{2} (\w+)", "".join(template for template, _ in (*rows(), *examples()))))
    assert set(PLACEHOLDERS) - named == {"row"}  # it needs a file, and has a section and a test of its own


@pytest.mark.parametrize(("template", "values"), rows())
def test_a_template_makes_what_the_docs_say(make: Make, template: str, values: list[str]) -> None:
    assert make(template, 3, seed=919) == values


@pytest.mark.parametrize(("template", "example"), examples())
def test_the_library_makes_values_of_the_kind_that_the_docs_show(make: Make, template: str, example: str) -> None:
    pytest.importorskip("mimesis")
    found = [json.loads(text) for text in make(template, 100)]
    assert {type(value) for value in found} == {type(json.loads(example))}
    assert len(set(found)) > 20 or "cpu" in template or "country" in template
