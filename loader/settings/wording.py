"""Names options as a program gives them: messages name those of the command line, such as ``--batch-size``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from loader.settings.option import Declared, Options, declared

_VALUE = r"'[^']*'|[\w.]+(?:-\w+)*(?![\w.-]*[:/])"
_OPTION = re.compile(rf"(?<![\w-])(?:-[a-z] )?--([a-z]+(?:-[a-z]+)*)(?![\w-])(?:[ =]({_VALUE}))?")
_PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+|[0-9.]*[0-9]|'.*'", re.DOTALL)
_VALUES: dict[str, Sequence[str]] = {
    "redis": ("embedded", "discard"),
    "format": ("jsonl", "json", "json-array", "json-concat", "csv", "tsv", "parquet", "arrow", "feather", "tar", "zip"),
}
"""Values that options without choices may have."""


def as_parameters(text: str, kinds: Iterable[type[Options]]) -> str:
    """A message with parameters of the Python API in place of options: ``--job NAME`` becomes ``job=NAME``.

    Options that none of the classes has stay as they are.
    """
    known = {one.name: one for kind in kinds for one in declared(kind)}
    return _OPTION.sub(lambda found: _parameter(found, known), text)


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A message with other names of options, for a command whose options differ from those of a load.

    Args:
        names: From the name of a load's option, such as ``queue``, to that of the command's option.
    """

    def replace(found: re.Match[str]) -> str:
        name = names.get(found[1])
        return found[0] if name is None else found[0].replace(f"--{found[1]}", f"--{name}")

    return _OPTION.sub(replace, text)


def _parameter(found: re.Match[str], known: Mapping[str, Declared]) -> str:
    name, value = found[1].replace("-", "_"), found[2]
    one = known.get(name) or known.get(f"{name}_")
    if one is None:
        return found[0]
    rest = "" if value is None else f" {value}"
    if one.is_switch:
        return f"{one.name}=True{rest}"
    if value is not None and _PLACEHOLDER.fullmatch(value):
        return f"{one.name}={value}"
    if value is not None and (value in one.choices or value in _VALUES.get(one.name, ())):
        return f"{one.name}={value!r}"
    at_start = found.start() == 0 or found.string[found.end(1) :].startswith(":")
    return f"{one.name}{rest}" if at_start else f"{one.name}={rest}"
