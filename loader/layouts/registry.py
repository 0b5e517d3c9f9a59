"""Layouts by name. A new layout is one new module and one line here."""

from __future__ import annotations

from loader.layouts.base import QueueEncoder
from loader.layouts.documented import DocumentedEncoder
from loader.settings import LoadOptions

_ENCODERS = {"documented": DocumentedEncoder}


def encoder_for(options: LoadOptions, queue: str) -> QueueEncoder:
    """The encoder of the options' layout for one queue (its full name)."""
    return _ENCODERS[options.layout](queue, options.type, options.max_retry)
