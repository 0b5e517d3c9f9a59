"""Finds environment variables for runqy-loader that set no option: most likely, they are misspelt."""

from __future__ import annotations

import os
from collections.abc import Iterator

ENV_PREFIX = "RUNQY_LOADER_"
CONFIG = f"{ENV_PREFIX}CONFIG"
FROM_VARIABLE = "runqy-loader.config-variable"
"""The key of a click context's ``meta`` for whether the variable has named the configuration file."""

CONFIG_PATH = "runqy-loader.config"
"""The key of a click context's ``meta`` for the path of the configuration file."""


def misspelt_variables() -> Iterator[str]:
    """One line for each variable that begins with ``RUNQY_LOADER_`` and belongs to no option of any command.

    All commands are imported only if there is a variable to look up.
    """
    candidates = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name != CONFIG)
    if not candidates:
        return
    from difflib import get_close_matches

    known = _known()
    for name in candidates:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            yield f"{name} sets no option" + (f"; did you mean {near[0]}?" if near else "")


def _known() -> set[str]:
    from loader.cli.commands import COMMANDS, command
    from loader.cli.parameters import parameters
    from loader.settings.shared import PASSWORD_VARIABLE

    found = {CONFIG, PASSWORD_VARIABLE}
    for name in COMMANDS:
        declaration = command(name)
        for kind in declaration.options:
            for one in parameters(kind, name, declaration):
                found.update([one.envvar] if isinstance(one.envvar, str) else one.envvar or ())
    return found
