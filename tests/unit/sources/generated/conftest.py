"""Records of templates that are written into a test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loader.sources.generated.generator import Generator

Make = Callable[..., list[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """The records of a template, as texts."""

    def made(template: Any, count: int = 1000, *, seed: int = 1, first: int = 0) -> list[str]:
        path = tmp_path / "template.json"
        path.write_text(template if isinstance(template, str) else json.dumps(template))
        return [text for block in Generator(path, seed).blocks(first, first + count) for text in block]

    return made
