"""Files of SFTP servers, through asyncssh.

SFTP (draft-ietf-secsh-filexfer-02, which all servers speak) has sizes and times, and nothing that stands for content.
So a file is copied here first, and refused if its size or time is another one afterwards.
"""

from __future__ import annotations

import asyncio
import stat as modes
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

from loader.errors import SourceError
from loader.sources.remote.address import Address
from loader.sources.remote.site import Listed, LostError, State, changed
from loader.sources.transports.transport import CHUNK

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient

_CONNECT_SECONDS = 15


class SftpSite:
    """One server and user. Keys are paths; one that begins with ``/~/`` is below the user's folder."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._where = f"sftp://{address.host}"
        self._open = AsyncExitStack()
        self._client: SFTPClient | None = None
        self._connecting = asyncio.Lock()

    async def state(self, key: str) -> State | None:
        attributes = await self._stat(key)
        if attributes is None or _is_folder(attributes):
            return None
        return State(attributes.size, None)

    async def list(self, prefix: str, enter: Callable[[str], bool]) -> AsyncGenerator[Listed, None]:
        import asyncssh

        client = await self._connected()
        waiting = [prefix]
        while waiting:
            folder = waiting.pop()
            try:
                async for entry in client.scandir(_path(folder)):
                    name = entry.filename
                    if not isinstance(name, str) or name in (".", ".."):
                        continue
                    attributes: SFTPAttrs | None = entry.attrs
                    is_link = attributes is not None and modes.S_ISLNK(attributes.permissions or 0)
                    if is_link:
                        attributes = await self._stat(folder + name)
                    if attributes is None:
                        continue
                    if _is_folder(attributes):
                        if not is_link and enter(f"{folder}{name}/"):  # links may lead round in circles
                            waiting.append(f"{folder}{name}/")
                    elif modes.S_ISREG(attributes.permissions or modes.S_IFREG):
                        yield Listed(folder + name, State(attributes.size, None))
            except asyncssh.SFTPNoSuchFile:
                continue  # there is no such folder, or it has just been deleted
            except (asyncssh.Error, OSError) as error:
                raise self._fault(error, folder) from error

    async def read(self, key: str, start: int, end: int | None, state: State) -> AsyncGenerator[bytes, None]:
        import asyncssh

        client = await self._connected()
        name = self._address.name_of(key)
        try:
            async with client.open(_path(key), "rb") as file:
                before = await file.stat()
                if state.size is not None and before.size != state.size:
                    raise changed(name, f"it had {state.size} bytes, now {before.size}")
                await file.seek(start)
                while piece := await file.read(CHUNK):
                    yield cast(bytes, piece)  # opened as bytes
                after = await file.stat()
                if (before.size, before.mtime) != (after.size, after.mtime):
                    raise changed(name, f"it had {before.size} bytes, now {after.size}")
        except (
            asyncssh.ConnectionLost,
            asyncssh.SFTPConnectionLost,
            asyncssh.SFTPNoConnection,
            ConnectionError,
        ) as error:
            await self.aclose()
            raise LostError("the connection was lost") from error
        except (asyncssh.Error, OSError) as error:
            raise self._fault(error, key) from error

    async def aclose(self) -> None:
        self._client = None
        await self._open.aclose()

    async def _stat(self, key: str) -> SFTPAttrs | None:
        import asyncssh

        client = await self._connected()
        try:
            return await client.stat(_path(key))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return None
        except (asyncssh.Error, OSError) as error:
            raise self._fault(error, key) from error

    async def _connected(self) -> SFTPClient:
        import asyncssh

        async with self._connecting:
            if self._client is not None:
                return self._client
            host, port = self._split
            options: dict[str, Any] = {"port": int(port)} if port else {}
            if self._address.user:
                options["username"] = self._address.user
            if self._address.password:
                options["password"] = self._address.password
            try:
                # Keys, known hosts and ~/.ssh/config as ssh(1) finds them.
                connection = await self._open.enter_async_context(
                    asyncssh.connect(host, connect_timeout=_CONNECT_SECONDS, login_timeout=_CONNECT_SECONDS, **options)
                )
                self._client = await self._open.enter_async_context(connection.start_sftp_client())
            except (asyncssh.Error, OSError, ValueError) as error:
                raise self._fault(error, "") from error
            return self._client

    @property
    def _split(self) -> tuple[str, str]:
        """The host, and its port or nothing. An address of IPv6 stands in brackets."""
        host, colon, port = self._address.host.rpartition(":")
        if not colon or port.endswith("]"):
            host, port = self._address.host, ""
        return host.strip("[]"), port

    def _fault(self, error: Exception, key: str) -> SourceError:
        import asyncssh

        where = self._address.name_of(key) if key else self._where
        host = self._address.host
        match error:
            case asyncssh.HostKeyNotVerifiable():
                plain, port = self._split
                asked = f"-p {port} {plain}" if port else plain
                return SourceError(
                    f"{where}: the host key of {host} is not in ~/.ssh/known_hosts, or is another one",
                    f"Compare it with what its owner says, and add it: ssh-keyscan {asked} >> ~/.ssh/known_hosts",
                )
            case asyncssh.PermissionDenied():
                return SourceError(
                    f"{where}: the server accepts no key and no password of the user",
                    "Write sftp://USER@HOST/PATH; a key, an agent or ~/.ssh/config must log in without a question",
                )
            case asyncssh.SFTPPermissionDenied() | PermissionError():
                return SourceError(f"{where}: permission denied", "Check the rights of the user")
            case asyncssh.SFTPNoSuchFile() | FileNotFoundError():
                return SourceError(f"{where}: there is no such file", "Check the path")
            case TimeoutError():
                return SourceError(f"{where}: {host} does not answer in time", "Check the host and the network")
            case asyncssh.Error():
                return SourceError(
                    f"{where} cannot be read: {error.reason}", "Check the server, and run the same command"
                )
            case OSError():
                why = error.strerror or str(error)
                return SourceError(
                    f"{where}: no connection to {host}: {why}", "Check the host, the port and the network"
                )
        return SourceError(f"{where} cannot be read: {error}", "Check the URL")


def _path(key: str) -> str:
    """The path on the server. ``/~/`` is the folder of the user, to which SFTP takes paths without a slash."""
    return key.removeprefix("/~/") or "." if key.startswith("/~/") else key


def _is_folder(attributes: SFTPAttrs) -> bool:
    return modes.S_ISDIR(attributes.permissions or 0)
