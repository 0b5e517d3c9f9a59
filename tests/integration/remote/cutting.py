"""A TCP proxy before a server of input, that cuts answers in the middle."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

_PIECE = 64 * 1024


class Cutter:
    """Forwards connections, and resets those whose answer is longer than a number of bytes.

    Args:
        after: Bytes of an answer to let through.
        times: How many connections to cut; later ones are left alone.
        on_cut: Called before the first cut is felt.
        port: Where to listen; 0 for a free port.
    """

    def __init__(
        self, target: int, after: int, times: int, on_cut: Callable[[], object] = lambda: None, port: int = 0
    ) -> None:
        self._target = target
        self._after = after
        self._left = times
        self._on_cut = on_cut
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self.cuts = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close_once(self, holds: Callable[[], object]) -> None:
        """Accepts no more connections as soon as something holds. Raises TimeoutError if that does not come."""
        deadline = time.monotonic() + 60
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError
            time.sleep(0.02)
        self.close()

    def close(self) -> None:
        """Accepts no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which also ends an accept() in the other thread
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._forward, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, True), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        passed = 0
        try:
            while piece := source.recv(_PIECE):
                passed += len(piece)
                if is_answer and passed > self._after and self._may_cut():
                    for one in (source, target):
                        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                target.sendall(piece)
        except OSError:
            pass
        finally:
            for one in (source, target):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _may_cut(self) -> bool:
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            self.cuts += 1
            if self.cuts == 1:
                self._on_cut()
            return True
