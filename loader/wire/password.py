"""A server's password from a file, a command or the environment, so that no process list and no log shows it."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path

from loader.errors import LoaderError, UsageError

_COMMAND_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """Where a password is from. One of the three is given.

    A file is read for each connection, so a password that was changed there is found. A command runs once, and again
    when a server refuses what it gave: tokens of cloud services last for minutes only.

    Attributes:
        option: The option that names it, for errors.
        variable: An environment variable.
    """

    option: str
    file: Path | None = None
    command: str | None = None
    variable: str = ""
    _known: list[str] = field(default_factory=list, repr=False, compare=False)

    async def read(self, *, refused: str | None = None) -> str:
        """The password.

        Args:
            refused: A password that the server has refused; None at first.

        Raises:
            UsageError: It cannot be had.
        """
        if self.file is not None:
            return self._first_line(self._in_file(self.file))
        if self.command is None:
            return os.environ.get(self.variable, "")
        if not self._known or self._known[0] == refused:
            self._known[:] = [self._first_line(await self._printed(self.command))]
        return self._known[0]

    def _in_file(self, path: Path) -> bytes:
        try:
            return path.read_bytes()
        except OSError as error:
            raise UsageError(f"{self.option} {path}: {error.strerror}", "Check the path and its permissions") from None

    async def _printed(self, command: str) -> bytes:
        process = await asyncio.create_subprocess_shell(
            command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                printed, _ = await process.communicate()
        except TimeoutError:
            raise UsageError(f"{self.option}: the command did not end within {_COMMAND_SECONDS:g} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise UsageError(
                f"{self.option}: the command failed with exit status {process.returncode}", "Try it in a shell"
            )
        return printed

    def _first_line(self, content: bytes) -> str:
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise UsageError(f"{self.option}: the password is not UTF-8") from None
        line = text.split("\n", 1)[0].removesuffix("\r")
        if not line:
            raise UsageError(f"{self.option}: the first line, which should be the password, is empty")
        return line


def about_source(error: LoaderError, source: PasswordSource) -> LoaderError:
    """The error of a server that refuses the password, with the place where it is from."""
    error.hint = f"Check the password that {source.option or source.variable} gives, and the user name in the URL"
    return error
