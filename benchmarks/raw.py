"""A small blocking Redis client for the harness itself, quick enough to check a million tasks after each run.

It shares no code with the loader, so a fault of the loader's protocol code cannot stay hidden here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import hiredis

_CHUNK = 1 << 20


class Raw:
    """One connection. Use it with ``with``.

    Args:
        path: The server's socket; without it, ``port`` on 127.0.0.1 is used.
    """

    def __init__(self, port: int, path: Path | None = None, timeout: float = 300) -> None:
        if path is None:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        else:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(timeout)
            try:
                self._socket.connect(str(path))
            except OSError:
                self._socket.close()
                raise
        self._parser = hiredis.Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, *arguments: bytes | str | int) -> Any:
        """The reply to one command. Raises hiredis.ReplyError if the reply is an error."""
        return self.many([arguments])[0]

    def many(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """The replies to several commands, sent at once. Commands and replies must fit in the buffers of the sockets.

        Raises:
            hiredis.ReplyError: One of the replies is an error.
        """
        packed = [hiredis.pack_command(command) for command in commands]
        self._socket.sendall(b"".join(packed))
        replies: list[Any] = []
        while len(replies) < len(packed):
            reply = self._parser.gets()
            if reply is False:
                received = self._socket.recv(_CHUNK)
                if not received:
                    raise ConnectionError("the server has closed the connection")
                self._parser.feed(received)
                continue
            if isinstance(reply, hiredis.ReplyError):
                raise reply
            replies.append(reply)
        return replies
