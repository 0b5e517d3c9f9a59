"""The paths of a command line."""

from __future__ import annotations

from collections.abc import Iterable

from loader.errors import UsageError


def refuse_unknown_options(paths: Iterable[str], command: str) -> None:
    """Raises UsageError for a word with a dash other than '-', which is an input: the parser takes all for paths."""
    for path in paths:
        if path.startswith("-") and path != "-":
            raise UsageError(f"unknown option {path}", f"See runqy-loader {command} --help; for a file write ./-NAME")
