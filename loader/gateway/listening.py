"""The sockets that the gateway listens at."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping, Sequence

from loader.errors import UsageError
from loader.wire.hosts import WRONG_NAME, can_be_a_name

BACKLOG = 2048
_FIRST_PASSED = 3
"""The first file descriptor that systemd passes (sd_listen_fds(3))."""
_TRIES = 20


def listen(host: str, port: int) -> list[socket.socket]:
    """Listens at every address of a host, such as 127.0.0.1 and ::1 for localhost, at the same port.

    Args:
        port: 0 for any free one.

    Raises:
        UsageError: The host has no address here, or the port is taken.
    """
    if not can_be_a_name(host):
        raise UsageError(f"--host: {WRONG_NAME}", "Give an address or a name of this machine")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    places = list(dict.fromkeys((family, where[0]) for family, _, _, _, where in found))
    for _ in range(_TRIES - 1):
        try:
            return _bind(places, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE:  # else the free port of one address is taken at another one
                raise _cannot_listen(host, port, error) from error
    raise UsageError(f"no port is free at every address of {host}", "Give one with --port")


def _bind(places: Sequence[tuple[socket.AddressFamily, str | int]], port: int) -> list[socket.socket]:
    bound: list[socket.socket] = []
    try:
        for family, address in places:
            try:
                one = socket.create_server((str(address), port), family=family, backlog=BACKLOG)
            except OSError as error:
                # A name may have an address of a family that this machine does not use.
                if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) and (bound or len(places) > 1):
                    continue
                raise
            bound.append(one)
            port = one.getsockname()[1]
    except OSError:
        for one in bound:
            one.close()
        raise
    if not bound:
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    return bound


def _cannot_listen(host: str, port: int, error: OSError) -> UsageError:
    return UsageError(f"cannot listen at {host}, port {port}: {error.strerror}", "Change --host or --port")


def passed_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """The sockets that systemd has opened for this process (sd_listen_fds(3)); none if it was started otherwise.

    Raises:
        UsageError: What was passed are not listening stream sockets.
    """
    if environ.get("LISTEN_PID") != str(os.getpid()) or not environ.get("LISTEN_FDS", "").isdecimal():
        return []
    found = [socket.socket(fileno=_FIRST_PASSED + at) for at in range(int(environ["LISTEN_FDS"]))]
    for one in found:
        if one.type != socket.SOCK_STREAM or not one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise UsageError("systemd has passed a socket that does not listen", "Use ListenStream= in the unit")
        one.setblocking(False)
    return found


def url(listening: socket.socket) -> str:
    """Where a socket listens, for the user."""
    name = listening.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{name}"
    host, port = name[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
