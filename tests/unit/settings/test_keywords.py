"""The keywords of the Python API are those of the options: ``loader/settings/keywords.py`` is made from them.

To renew it after an option was added or changed, run this test with RUNQY_LOADER_TESTS_WRITE_GOLDEN=1 set.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any

import loader
from loader.joblist.options import JobsOptions
from loader.results.api import OF_THE_COMMAND
from loader.results.options import WaitOptions
from loader.settings import LoadOptions
from loader.settings.option import DURATION, TIME, Declared, declared
from loader.undo.options import RollbackOptions
from loader.watch.options import WatchOptions

FILE = Path(loader.__file__).parent / "settings" / "keywords.py"

HEAD = '''"""Keywords of the Python API, made from the options classes by tests/unit/settings/test_keywords.py."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypedDict
'''


def text_of(kind: Any) -> str:
    """A type as it is written in a program."""
    if typing.get_origin(kind) is typing.Literal:
        return "Literal[" + ", ".join(f'"{value}"' for value in typing.get_args(kind)) + "]"
    if typing.get_origin(kind) is tuple:
        return f"tuple[{typing.get_args(kind)[0].__name__}, ...]"
    if parts := typing.get_args(kind):
        return " | ".join(text_of(part) for part in parts)
    return str({type(None): "None", Path: "Path | str"}.get(kind, kind.__name__))


def with_alternatives(text: str, one: Declared) -> str:
    """Also what ``loader.settings.values.convert_values`` converts."""
    parts = [part for part in text.split(" | ") if part != "None"]
    more = {DURATION: ["str", "timedelta"], TIME: ["float", "datetime"]}.get(one.option.unit, [])
    return " | ".join([*dict.fromkeys([*parts, *more]), *(["None"] if one.nullable else [])])


def keywords_of(name: str, kind: type[Any], without: Collection[str] = ()) -> str:
    hints = typing.get_type_hints(kind)
    lines = [
        f"    {one.name}: {with_alternatives(text_of(hints[one.name]), one)}"
        for one in declared(kind)
        if one.name not in without
    ]
    doc = f'    """Keywords that are the fields of ``{kind.__name__}``."""'
    return "\n".join([f"class {name}(TypedDict, total=False):", doc, "", *lines, ""])


def test_they_are_the_fields_of_the_options() -> None:
    made = "\n\n".join(
        [
            HEAD,
            keywords_of("LoadKeywords", LoadOptions),
            keywords_of("WaitKeywords", WaitOptions, OF_THE_COMMAND),
            keywords_of("RollbackKeywords", RollbackOptions),
            keywords_of("JobsKeywords", JobsOptions, {"dry_run", "yes"}),
            keywords_of("WatchKeywords", WatchOptions),
        ]
    )
    if os.environ.get("RUNQY_LOADER_TESTS_WRITE_GOLDEN"):
        FILE.write_text(made)

    assert FILE.read_text() == made
