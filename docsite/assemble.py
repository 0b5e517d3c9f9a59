"""Puts the pages into one folder: those of the repository in the same places, and those made from the code."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from docsite import commands, reference

ROOT = Path(__file__).resolve().parents[1]
_FOLDERS = ("docs", "examples", "findings")
_BESIDE = ("tests/README.md", "benchmarks/scenarios/generate.py")
"""Files elsewhere that pages link to."""


def assemble(folder: Path) -> None:
    """Fills the folder. What was there before is deleted.

    Args:
        folder: For Sphinx to read.
    """
    if folder.exists():
        shutil.rmtree(folder)
    for path in _sources():
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    for name, text in (*commands.pages(), *reference.pages()):
        page = folder / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    settings = (ROOT / "docsite" / "conf.py").read_text()
    (folder / "conf.py").write_text(f"{settings}man_pages = {commands.man_pages()!r}\n")


def _sources() -> Iterator[Path]:
    yield from ROOT.glob("*.md")
    for name in _FOLDERS:
        yield from (path for path in (ROOT / name).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    yield from (ROOT / name for name in _BESIDE)
