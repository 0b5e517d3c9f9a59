"""The folder for temporary files, as messages name it."""

from __future__ import annotations

import os
import tempfile


def temporary_folder() -> str:
    """Its path, or what the environment says, or words: ``tempfile.gettempdir()`` raises where no folder is usable."""
    return tempfile.tempdir or os.environ.get("TMPDIR") or "the folder for temporary files"
