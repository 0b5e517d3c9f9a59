"""Each command that a page shows can be given as it stands: its options and their values are known."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from loader.cli.app import PROGRAM, app
from tests.docs.pages import ROOT, tool_commands

PAGES = sorted(
    path for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")) if any(True for _ in tool_commands(path))
)


def test_the_pages_are_found() -> None:
    assert len(PAGES) > 20
    assert sum(len(list(tool_commands(page))) for page in PAGES) > 120


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_page_are_understood(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in tool_commands(page):
        try:
            understand(words)
        except click.ClickException as error:
            pytest.fail(f"{page.relative_to(ROOT)}: runqy-loader {' '.join(words)}: {error.format_message()}")


def test_a_command_that_cannot_be_given_is_found() -> None:
    for words in (["load", "a.jsonl", "--quue", "q"], ["lod"], ["load", "--layout", "other"], ["load", "--queue"]):
        with pytest.raises(click.ClickException):
            understand(words)


def understand(words: list[str]) -> None:
    """Parses a command, and does not run it."""
    group = app()
    try:
        context = group.make_context(PROGRAM, list(words))
        given = [*context._protected_args, *context.args]
        name, found, rest = group.resolve_command(context, given)
        assert found is not None
        found.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        pass  # --help and --version end here
