"""Reads and checks the expressions of a load before anything is written."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from loader.errors import UsageError
from loader.extras import require
from loader.settings import LoadOptions
from loader.settings.option import flag_of

if TYPE_CHECKING:
    from loader.shaping.expression import Expression
    from loader.shaping.shape import Shape
    from loader.sources.record_limit import RecordLimit

_EXPRESSIONS = ("where", "select", "dedup", "id_from", "queue_from")

log = logging.getLogger("runqy_loader")


def settled_shape(options: LoadOptions) -> LoadOptions:
    """The options with the template's expression in ``select``, all of whose expressions are valid.

    Logs a warning for an expression that most likely means something else.

    Raises:
        UsageError: An expression is not valid, the template cannot be read, or JMESPath is not installed.
    """
    given = list(expressions(options))
    if (path := options.payload_template) is not None:
        options = replace(options, select=template_text(path), payload_template=None)
        given.append((f"--payload-template {path}", options.select or ""))
    for option, text in given:
        require("shape", option.partition(" ")[0])
        from loader.shaping.expression import Expression

        quoted = Expression(option, text).quoted
        if quoted is not None:
            log.warning("%s compares with the field \"%s\"; as a text, it is written '%s'", option, quoted, quoted)
    return options


def shape_of(options: LoadOptions, limit: RecordLimit, *, keep_values: bool) -> Shape | None:
    """The shape of a load's records; None if they are loaded as they are. See ``Shape``."""
    if not options.shape:
        return None
    from loader.shaping.shape import Shape  # jmespath: an extra that only these options need

    return Shape(options, limit, keep_values=keep_values)


def expression_of(option: str, text: str | None) -> Expression | None:
    """The expression of an option; None if it is not given."""
    if text is None:
        return None
    from loader.shaping.expression import Expression  # jmespath: an extra that only these options need

    return Expression(option, text)


def expressions(options: LoadOptions) -> Iterator[tuple[str, str]]:
    """The expressions of a load, each after the option that gives it."""
    for name in _EXPRESSIONS:
        text = getattr(options, name)
        if text is not None:
            yield flag_of(name), text
    for member in options.set:
        name, _, text = member.partition("=")
        yield f"--set {name}", text


def template_of(path: Path) -> Expression:
    """The expression of ``--payload-template``.

    Raises:
        UsageError: It is not valid, the file cannot be read, or JMESPath is not installed.
    """
    require("shape", "--payload-template")
    from loader.shaping.expression import Expression  # jmespath: an extra that only this needs

    return Expression(f"--payload-template {path}", template_text(path))


def template_text(path: Path) -> str:
    """The text of a template. Raises UsageError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--payload-template {path} cannot be read: {error.strerror}", "Name a readable file"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"--payload-template {path} is not UTF-8 text (byte {error.start})") from error
    if not text.strip():
        raise UsageError(f"--payload-template {path}: the file is empty")
    return text.strip()
