"""The formats that are known, and how names tell them. A new format is one new module and one line here.

Format and compression go together freely: ``.jsonl`` and ``.gz`` make ``.jsonl.gz``, and ``--format jsonl.gz``.
"""

from __future__ import annotations

from collections.abc import Iterator

from loader.errors import UsageError
from loader.sources.codecs.codec import Codec
from loader.sources.codecs.registry import CODECS
from loader.sources.documents import DOCUMENTS
from loader.sources.format import Format
from loader.sources.lines_source import JSON_LINES

FORMATS: dict[str, Format] = {form.name: form for form in (JSON_LINES, DOCUMENTS)}

OF_STANDARD_INPUT = JSON_LINES.name
"""The format of standard input, where none is said."""

Kind = tuple[Format, Codec | None]
"""A format, and a compression or None."""


def _kinds() -> Iterator[Kind]:
    for form in FORMATS.values():
        yield form, None
        if form.compressible:
            for codec in CODECS.values():
                yield form, codec


def by_name() -> dict[str, Kind]:
    """What ``--format`` may say, in the order in which it is listed."""
    return {form.name + (codec.endings[0] if codec is not None else ""): (form, codec) for form, codec in _kinds()}


def by_ending() -> dict[str, Kind]:
    """What the ends of file names tell, in the order in which they are listed."""
    return {
        ending + added: (form, codec)
        for form, codec in _kinds()
        for added in (codec.endings if codec is not None else ("",))
        for ending in form.endings
    }


def said(name: str) -> Kind:
    """What ``--format NAME`` means.

    Raises:
        UsageError: There is no such format.
    """
    known = by_name()
    if name not in known:
        raise UsageError(f"--format must be one of {', '.join(map(repr, known))}, not {name!r}")
    return known[name]


def how_to_say() -> str:
    """What to do where a file's name tells no format, as one sentence."""
    names = " or ".join(f"--format {name}" for name in FORMATS)
    added = " or ".join(codec.endings[0] for codec in CODECS.values())
    return f"Say {names} (or {added} of these)"
