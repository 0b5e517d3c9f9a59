"""The known formats, and their names and endings. A new format is one new module and one line here.

Any format can be combined with any compression: ``.jsonl`` and ``.gz`` give ``.jsonl.gz``, and ``--format jsonl.gz``.
"""

from __future__ import annotations

from collections.abc import Iterator

from loader.errors import UsageError
from loader.sources.archives.tar import TAR_ARCHIVE
from loader.sources.archives.zip import ZIP_ARCHIVE
from loader.sources.codecs.codec import Codec
from loader.sources.codecs.registry import CODECS
from loader.sources.documents import DOCUMENTS
from loader.sources.format import Format
from loader.sources.lines_source import JSON_LINES
from loader.sources.values_source import JSON_ARRAY, JSON_CONCAT

FORMATS: dict[str, Format] = {
    form.name: form for form in (JSON_LINES, DOCUMENTS, JSON_ARRAY, JSON_CONCAT, TAR_ARCHIVE, ZIP_ARCHIVE)
}

STDIN_FORMAT = JSON_LINES.name
"""The format of standard input without ``--format``."""

Kind = tuple[Format, Codec | None]
"""A format, and its compression or None."""


def _kinds() -> Iterator[Kind]:
    for form in FORMATS.values():
        yield form, None
        if form.compressible:
            for codec in CODECS.values():
                yield form, codec


def by_name() -> dict[str, Kind]:
    """The allowed values of ``--format``, in the order in which they are listed."""
    return {form.name + (codec.endings[0] if codec is not None else ""): (form, codec) for form, codec in _kinds()}


def plain_endings() -> list[str]:
    """The endings of file names, without those of compressions."""
    return [ending for form in FORMATS.values() for ending in form.endings]


def by_ending() -> dict[str, Kind]:
    """The known endings of file names, in the order in which they are listed."""
    return {
        ending + added: (form, codec)
        for form, codec in _kinds()
        for added in (codec.endings if codec is not None else ("",))
        for ending in form.endings
    }


def kind_named(name: str) -> Kind:
    """The format and compression of ``--format NAME``.

    Raises:
        UsageError: There is no such format.
    """
    known = by_name()
    if name not in known:
        named = ", ".join(map(repr, FORMATS))
        raise UsageError(f"--format must be one of {named}, or one of them with {_added()} added, not {name!r}")
    return known[name]


def format_hint() -> str:
    """The hint for a file whose name has no known ending, as one sentence."""
    names = " or ".join(f"--format {name}" for name in FORMATS)
    return f"Give {names} (with {_added()} added if it is compressed)"


def _added() -> str:
    *others, last = (codec.endings[0] for codec in CODECS.values())
    return f"{', '.join(others)} or {last}" if others else last
