"""The address of the server that options name, with the password that they name apart from it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from loader.settings.shared import PASSWORD_VARIABLE
from loader.wire.address import Address, parse_address
from loader.wire.password import PasswordSource


class NamesServer(Protocol):
    """Options with a server."""

    @property
    def redis(self) -> str: ...

    @property
    def redis_password_file(self) -> Path | None: ...

    @property
    def redis_password_command(self) -> str | None: ...


def server_address(options: NamesServer) -> Address:
    """The server that ``--redis`` names.

    Raises:
        UsageError: The URL is not valid, or the password is given twice.
    """
    source = password_source(options.redis_password_file, options.redis_password_command)
    return parse_address(options.redis, password=source)


def password_source(file: Path | None, command: str | None, prefix: str = "") -> PasswordSource | None:
    """Where a password is from, beside the URL; None if nothing names one.

    Args:
        prefix: What precedes ``redis`` in the names of the options, such as ``from-``. The variable is not for the
            other server of a migration (``to-``).
    """
    if file is not None:
        return PasswordSource(f"--{prefix}redis-password-file", file=file)
    if command is not None:
        return PasswordSource(f"--{prefix}redis-password-command", command=command)
    if os.environ.get(PASSWORD_VARIABLE) and prefix != "to-":
        return PasswordSource("", variable=PASSWORD_VARIABLE)
    return None
