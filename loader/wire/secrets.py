"""Passwords that the command line does not show: read from a file, or from the output of a command.

An argument of a program can be read by every user of the machine (``ps``), and ends up in the shell's history.
"""

from __future__ import annotations

import shlex
import subprocess
from functools import lru_cache
from pathlib import Path

from loader.errors import UsageError

FROM_FILE, FROM_COMMAND = "password_file", "password_command"
"""Parameters of a URL."""

_SECONDS = 60.0


def password_from(parameters: dict[str, str], option: str) -> str | None:
    """The password that a URL's parameters lead to; None if they name neither a file nor a command.

    Args:
        option: Where the URL was given, for errors.

    Raises:
        UsageError: The file cannot be read, the command fails, or there is no password in it. No error shows what the
            file or the command's output holds.
    """
    if FROM_FILE in parameters:
        return _first_line(_content(parameters[FROM_FILE], option), FROM_FILE, option)
    if FROM_COMMAND in parameters:
        return _first_line(_output(parameters[FROM_COMMAND], option), FROM_COMMAND, option)
    return None


def _first_line(text: str, name: str, option: str) -> str:
    line = text.split("\n", 1)[0].removesuffix("\r")
    if not line:
        raise UsageError(f"{option}: {name} gives no password: its first line is empty")
    return line


def _content(path: str, option: str) -> str:
    try:
        return Path(path).expanduser().read_text()
    except OSError as error:
        raise UsageError(f"{option}: {FROM_FILE} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{option}: {FROM_FILE} {path} is not UTF-8 text") from None


@lru_cache(maxsize=16)  # a command may ask the user for something: once a process is enough
def _output(command: str, option: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError:
        raise UsageError(f"{option}: {FROM_COMMAND} has an open quotation mark") from None
    if not words:
        raise UsageError(f"{option}: {FROM_COMMAND} is empty")
    try:
        # Its standard error goes to the terminal: it says what is wrong, and may ask for something.
        done = subprocess.run(words, stdout=subprocess.PIPE, timeout=_SECONDS, check=False)  # noqa: S603 - the user's own
    except OSError as error:
        raise UsageError(f"{option}: {FROM_COMMAND} {words[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise UsageError(f"{option}: {FROM_COMMAND} {words[0]} has not ended within {_SECONDS:g} s") from None
    if done.returncode:
        raise UsageError(f"{option}: {FROM_COMMAND} {words[0]} has failed with exit status {done.returncode}")
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{option}: {FROM_COMMAND} {words[0]} does not print UTF-8 text") from None
