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
    for option, text in expressions(options):
        check_expression(option, text)
    if options.payload_template is not None:
        options = replace(options, select=read_template(options.payload_template), payload_template=None)
    return options


def shape_of(options: LoadOptions, limit: RecordLimit, *, keep_values: bool) -> Shape | None:
    """The shape of a load's records; None if they are loaded as they are. See ``Shape``."""
    if not options.shape:
        return None
    from loader.shaping.shape import Shape  # jmespath: an extra that only these options need

    return Shape(options, limit, keep_values=keep_values)


def check_expression(option: str, text: str) -> None:
    """Checks an expression. Logs a warning if it most likely means something else.

    Args:
        option: The option that gives it, for messages.

    Raises:
        UsageError: It is not valid, or JMESPath is not installed.
    """
    require("shape", option.partition(" ")[0])
    quoted = parsed(option, text).quoted
    if quoted is not None:
        log.warning("%s compares with the field \"%s\"; as a text, it is written '%s'", option, quoted, quoted)


def parsed(option: str, text: str) -> Expression:
    """The expression of an option. See ``Expression`` for what it raises."""
    from loader.shaping.expression import Expression  # jmespath: an extra that only these options need

    return Expression(option, text)


def expression_of(option: str, text: str | None) -> Expression | None:
    """The expression of an option; None if it is not given."""
    return None if text is None else parsed(option, text)


def expressions(options: LoadOptions) -> Iterator[tuple[str, str]]:
    """The expressions of a load, each after the option that gives it."""
    for name in _EXPRESSIONS:
        text = getattr(options, name)
        if text is not None:
            yield flag_of(name), text
    for member in options.set:
        name, _, text = member.partition("=")
        yield f"--set {name}", text


def read_template(path: Path) -> str:
    """The expression of ``--payload-template``, which is valid.

    Raises:
        UsageError: It is not, the file cannot be read, or JMESPath is not installed.
    """
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
    text = text.strip()
    check_expression(f"--payload-template {path}", text)
    return text
