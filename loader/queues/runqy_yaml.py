"""Queues from runqy's YAML configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from loader.errors import UsageError

_ENDINGS = (".yaml", ".yml")


class _TextLoader(yaml.SafeLoader):
    """Reads all scalars but null as text, also those with a tag such as ``!!int``.

    YAML 1.1 would read a queue name such as ``on`` or ``1`` as a boolean or a number.
    """


_PLAIN = ("null", "str", "seq", "map")
_SCALARS = ("bool", "int", "float", "timestamp")
_TAG = "tag:yaml.org,2002:"

_TextLoader.yaml_implicit_resolvers = {
    first: [resolver for resolver in resolvers if resolver[0].endswith((":merge", ":null"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# Without the others, a tag that does not suit its value is an error of YAML: PyYAML's own constructors raise any error.
_TextLoader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix(_TAG) in _PLAIN
} | {_TAG + name: yaml.SafeLoader.construct_yaml_str for name in _SCALARS}


def configured_queues(path: Path) -> set[str]:
    """Full names of the queues in a runqy configuration file, or in all files of a directory.

    ``queues: {inference: {sub_queues: [{name: premium}, …]}, simple: {…}}``: with ``sub_queues`` the names are
    ``inference.premium`` …; without, ``simple.default``.

    Raises:
        UsageError: A file cannot be read, is not YAML, or does not define queues in this form.
    """
    files = [path]
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in _ENDINGS)
    except OSError as error:  # a name that is too long, or a directory without rights
        raise UsageError(f"--queues-file {path}: {error.strerror}", "Check the path and its permissions") from error
    if not files:
        raise UsageError(f"--queues-file {path}: no YAML file in this directory", "Name runqy's queue configuration")
    return {name for file in files for name in _queues_of(file)}


def _queues_of(file: Path) -> set[str]:
    try:
        content: Any = yaml.load(file.read_bytes(), Loader=_TextLoader)  # noqa: S506 - it is a SafeLoader
    except OSError as error:
        raise UsageError(f"--queues-file {file}: {error.strerror}", "Check the path and its permissions") from error
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f":{where.line + 1}" if where is not None else ""
        raise UsageError(f"--queues-file {file}{line}: not valid YAML", "Correct the file") from error
    except (ValueError, OverflowError) as error:  # PyYAML's, for an escape such as \\UFFFFFFFF
        raise UsageError(
            f"--queues-file {file}: not valid YAML: an escape of no character", "Correct the file"
        ) from error
    except RecursionError as error:
        raise UsageError(f"--queues-file {file}: it is nested too deeply", "Correct the file") from error
    queues = content.get("queues") if isinstance(content, dict) else None
    if not isinstance(queues, dict):
        raise UsageError(f"--queues-file {file}: it has no mapping 'queues'", "Name runqy's queue configuration")
    names: set[str] = set()
    for parent, settings in queues.items():
        if not _is_text(parent):
            raise UsageError(f"--queues-file {file}: {parent!r} is no name of a queue", "Write the name as text")
        subs = settings.get("sub_queues") if isinstance(settings, dict) else None
        if not subs:
            names.add(f"{parent}.default")
            continue
        if not isinstance(subs, list):
            raise UsageError(
                f"--queues-file {file}: the sub-queues of {parent!r} are no list", "Write a list: [{name: NAME}, …]"
            )
        for sub in subs:
            if not isinstance(sub, dict) or not _is_text(sub.get("name")):
                raise UsageError(f"--queues-file {file}: a sub-queue of {parent!r} has no name", "Give it a name")
            names.add(f"{parent}.{sub['name']}")
    return names


def _is_text(value: object) -> bool:
    """Whether this is text that can be encoded: YAML has escapes for lone surrogates, which are no characters."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)
