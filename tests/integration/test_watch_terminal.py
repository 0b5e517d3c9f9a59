"""``watch`` on a terminal: what it shows there, how it ends, and that the terminal is put back."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli import command, environment
from tests.conftest import RedisServer, Server
from tests.integration.stored import HANG, numbered, push

OTHER_SCREEN, FIRST_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"
HIDE, SHOW = b"\x1b[?25l", b"\x1b[?25h"


class Terminal:
    """A pseudo-terminal with a program on it.

    Attributes:
        shown: All that the program has written.
    """

    def __init__(self, *arguments: str, folder: Path, term: str) -> None:
        self._parent, child = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(child)
        self._child = child  # kept open, so that its modes can be read after the program has ended
        self.shown = b""
        # Whoever runs the tests may have set a size, which would hold whatever the terminal says.
        env = environment(TERM=term, NO_COLOR="1")
        env = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command(*arguments),
            cwd=folder,
            env=env,
            stdin=child,
            stdout=child,
            stderr=child,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._parent, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._parent, keys)

    def until(self, text: str | bytes, *, after: int = 0) -> None:
        """Reads until the program has written a text after a position of ``shown``."""
        wanted = text.encode() if isinstance(text, str) else text
        deadline = time.monotonic() + HANG
        os.set_blocking(self._parent, False)
        while wanted not in self.shown[after:]:
            assert time.monotonic() < deadline, f"never shown: {text!r} in {self.shown[-2000:]!r}"
            self._read()

    def _read(self) -> None:
        try:
            self.shown += os.read(self._parent, 65536)
        except BlockingIOError:
            time.sleep(0.01)

    def end(self) -> int:
        """Waits until the program has ended, and reads the rest."""
        deadline = time.monotonic() + HANG
        os.set_blocking(self._parent, False)
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end"
            self._read()
        while True:
            try:
                self.shown += os.read(self._parent, 65536)
            except BlockingIOError:
                return self.process.returncode

    @property
    def is_as_before(self) -> bool:
        """Whether the modes are those before the program began."""
        return termios.tcgetattr(self._child) == self.before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._parent)
        os.close(self._child)


@contextmanager
def terminal(*arguments: str, folder: Path, term: str = "xterm") -> Iterator[Terminal]:
    opened = Terminal(*arguments, folder=folder, term=term)
    try:
        yield opened
    finally:
        opened.close()


@pytest.fixture
def filled(valkey: Server) -> Server:
    with valkey.client() as client:
        push(client, "asynq", "inference.default", numbered(1234))
    return valkey


def is_put_back(shown: Terminal) -> bool:
    """Whether the first screen is back, the cursor is seen, and keys are as they were."""
    text = shown.shown
    return (
        text.rfind(FIRST_SCREEN) > text.rfind(OTHER_SCREEN) > -1
        and text.rfind(SHOW) > text.rfind(HIDE)
        and shown.is_as_before
    )


def test_q_ends_it_and_the_last_table_stays(filled: Server, tmp_path: Path) -> None:
    with terminal("watch", "--redis", filled.url, folder=tmp_path) as shown:
        shown.until("inference.default")
        assert OTHER_SCREEN in shown.shown and "1,234" in shown.shown.decode()
        assert not shown.is_as_before  # keys come without Enter
        shown.type(b"q")
        assert shown.end() == 0
        assert is_put_back(shown)
        left = shown.shown[shown.shown.rfind(FIRST_SCREEN) :].decode()
        assert "inference.default" in left and "1,234" in left and "q ends" not in left


@pytest.mark.parametrize("how", ["key", "SIGINT", "SIGTERM"])
def test_ctrl_c_and_signals_end_it_as_q_does(filled: Server, tmp_path: Path, how: str) -> None:
    with terminal("watch", "--redis", filled.url, folder=tmp_path) as shown:
        shown.until("inference.default")
        if how == "key":
            shown.type(b"\x03")
        else:
            shown.process.send_signal(getattr(signal, how))
        assert shown.end() == 0
        assert is_put_back(shown)


def test_ctrl_z_gives_the_terminal_back_for_a_time(filled: Server, tmp_path: Path) -> None:
    with terminal("watch", "--redis", filled.url, folder=tmp_path) as shown:
        shown.until("inference.default")
        shown.process.send_signal(signal.SIGTSTP)
        _, status = os.waitpid(shown.process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        shown.until(FIRST_SCREEN)
        assert is_put_back(shown)
        at = len(shown.shown)
        shown.process.send_signal(signal.SIGCONT)
        shown.until("inference.default", after=at)
        assert OTHER_SCREEN in shown.shown[at:]
        shown.type(b"q")
        assert shown.end() == 0
        assert is_put_back(shown)


def test_the_table_follows_the_size_of_the_terminal(filled: Server, tmp_path: Path) -> None:
    with terminal("watch", "--redis", filled.url, folder=tmp_path) as shown:
        shown.until("±/s")
        shown.resize(24, 140)
        shown.until("change/s")
        shown.type(b"q")
        assert shown.end() == 0


def test_a_count_ends_it(filled: Server, tmp_path: Path) -> None:
    with terminal("watch", "--redis", filled.url, "-n", "2", "-i", "0.1", folder=tmp_path) as shown:
        assert shown.end() == 0
        assert is_put_back(shown)


def test_a_server_that_goes_away_is_told_in_the_table(redis_server: Callable[..., RedisServer], tmp_path: Path) -> None:
    server = redis_server()
    running = server.start()
    fill(running)
    with terminal("watch", "--redis", running.url, "-i", "0.2", folder=tmp_path) as shown:
        shown.until("inference.default")
        server.stop()
        shown.until("trying again")
        at = len(shown.shown)
        server.start()
        with running.client() as client:
            push(client, "asynq", "after.default", numbered(7))
        shown.until("inference.default", after=at)
        shown.type(b"q")
        assert shown.end() == 0
        assert is_put_back(shown)


def fill(server: Server) -> None:
    with server.client() as client:
        push(client, "asynq", "inference.default", numbered(3))


def test_an_error_comes_after_the_terminal_is_put_back(
    redis_server: Callable[..., RedisServer], tmp_path: Path
) -> None:
    server = redis_server()
    running = server.start()
    fill(running)
    arguments = ("watch", "--redis", running.url, "-i", "0.2", "--retry-for", "0.3")
    with terminal(*arguments, folder=tmp_path) as shown:
        shown.until("inference.default")
        server.stop()
        assert shown.end() == 1
        assert is_put_back(shown)
        assert "runqy-loader: error: " in shown.shown[shown.shown.rfind(FIRST_SCREEN) :].decode()


def test_a_dumb_terminal_gets_lines(filled: Server, tmp_path: Path) -> None:
    with terminal("watch", "--redis", filled.url, "-n", "1", folder=tmp_path, term="dumb") as shown:
        assert shown.end() == 0
        assert b"\x1b" not in shown.shown and b"1,234 pending" in shown.shown


def test_json_on_a_terminal_is_json(filled: Server, tmp_path: Path) -> None:
    with terminal("watch", "--redis", filled.url, "-n", "1", "--json", folder=tmp_path) as shown:
        assert shown.end() == 0
        assert shown.shown.startswith(b'{"time":') and b"\x1b" not in shown.shown
