"""A connection that sends ready-made bytes, for tests of what the loader's own encoders make."""

from __future__ import annotations

import socket
from typing import Any

import hiredis


class Raw:
    """A connection that sends ready-made bytes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._reader = hiredis.Reader()

    def __call__(self, commands: bytes) -> Any:
        """Sends a command, and returns its reply."""
        self._socket.sendall(commands)
        return self.reply()

    def reply(self) -> Any:
        """The next reply."""
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65536))
        return reply

    def close(self) -> None:
        self._socket.close()


def commands(data: bytes) -> list[list[bytes]]:
    """The commands in these bytes, each with its arguments."""
    reader = hiredis.Reader()
    reader.feed(data)
    found: list[list[bytes]] = []
    while (command := reader.gets()) is not False:
        found.append(command)
    return found
