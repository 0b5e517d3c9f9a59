"""From a URL that a user gives to the objects that it means: one, those below a prefix, or matches of a pattern."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

from loader.errors import SourceError
from loader.extras import require
from loader.sources.problems import Problem
from loader.sources.remote.address import EXTRA_OF, Address, is_url, parse_address
from loader.sources.remote.object_site import ObjectSite
from loader.sources.remote.pattern import compiled, folder_before, has_magic, may_lead
from loader.sources.remote.remote_file import RemoteFile
from loader.sources.remote.sftp_site import SftpSite
from loader.sources.remote.site import Listed, ListedSite
from loader.sources.remote.web_site import WebSite

How = Literal["named", "folder", "pattern"]

AT_ONCE = 16
"""How many objects are asked for at the same time."""


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    """An object that a URL means.

    Attributes:
        below: What follows a folder that is meant; empty for an object that is named or matched itself.
        file_name: The last part of its key.
    """

    file: RemoteFile
    file_name: str
    below: str = ""


@dataclass(frozen=True, slots=True)
class RemoteInput:
    """What a URL means.

    Attributes:
        name: The URL for people.
        last: The last part of the URL, which may be a pattern.
        problem: Why it means nothing; None if it means something.
    """

    name: str
    how: How
    last: str
    entries: tuple[RemoteEntry, ...] = ()
    problem: Problem | None = None


class Sites:
    """The buckets and hosts of a load. Objects of one share its connections."""

    def __init__(self) -> None:
        self._sites: dict[tuple[str, str, str], ListedSite] = {}

    def of(self, address: Address) -> ListedSite:
        """The site of an address that has a listing."""
        where = (address.scheme, address.host, address.login)
        if (site := self._sites.get(where)) is None:
            site = SftpSite(address) if address.scheme == "sftp" else ObjectSite(address)
            self._sites[where] = site
        return site

    async def aclose(self) -> None:
        """Closes connections that are no part of a source."""
        for site in self._sites.values():
            await site.aclose()


async def expand(address: Address, sites: Sites) -> RemoteInput:
    """What a URL means. Keys are sorted; of a folder, marks such as ``prefix/`` are left out."""
    last = address.path.rpartition("/")[2]
    if not address.has_listing:
        file = RemoteFile(address.name, WebSite(address), address.path, address.content_url)
        return RemoteInput(address.name, "named", last, (RemoteEntry(file, address.file_name),))
    site = sites.of(address)
    how: How = "pattern" if has_magic(address.path) else "folder" if not last else "named"
    try:
        found = await (_matches(address, site) if how == "pattern" else _named_or_below(address, site))
    except SourceError as error:
        return RemoteInput(address.name, how, last, problem=Problem.of(address.name, error))
    if how == "named" and not (len(found) == 1 and not found[0].below):
        how = "folder"
    if found:
        return RemoteInput(address.name, how, last, tuple(found))
    hint = "Check the URL"
    if how == "pattern":
        what, hint = "no object matches", "Check the pattern"
    elif last:
        what = "there is no such object, and nothing below it"
    else:
        what = "there is nothing below it"
    return RemoteInput(address.name, how, last, problem=Problem(address.name, what, hint))


async def _named_or_below(address: Address, site: ListedSite) -> list[RemoteEntry]:
    prefix = address.path
    if prefix and not prefix.endswith("/"):
        if (state := await site.state(prefix)) is not None:
            return [_entry(address, site, Listed(prefix, state))]
        prefix += "/"
    async with aclosing(site.list(prefix, lambda folder: not _is_hidden(folder[len(prefix) :]))) as listing:
        found = [one async for one in listing]
    return await _sorted(address, site, [(one, one.key[len(prefix) :]) for one in found])


async def _matches(address: Address, site: ListedSite) -> list[RemoteEntry]:
    pattern = re.compile(f"(?:{compiled(address.path).pattern})(?P<below>/.+)?", re.DOTALL)

    def enter(folder: str) -> bool:
        return may_lead(address.path, folder)

    async with aclosing(site.list(folder_before(address.path), enter)) as listing:
        matched = [(one, match) async for one in listing if (match := pattern.fullmatch(one.key)) is not None]
    found = [(one, (match["below"] or "")[1:]) for one, match in matched]
    return await _sorted(address, site, found)


async def _sorted(address: Address, site: ListedSite, found: Iterable[tuple[Listed, str]]) -> list[RemoteEntry]:
    entries: list[RemoteEntry] = []
    for one, below in sorted(found, key=lambda pair: pair[0].key.encode(errors="surrogateescape")):
        # Tools mark a folder with an object ``prefix/`` of no bytes, and obstore lists that without its slash.
        if one.state.size == 0 and address.scheme != "sftp" and await site.state(one.key) is None:
            continue
        entries.append(_entry(address, site, one, below))
    return entries


def _entry(address: Address, site: ListedSite, one: Listed, below: str = "") -> RemoteEntry:
    file = RemoteFile(address.name_of(one.key), site, one.key, address.content_url_of(one.key), one.state)
    return RemoteEntry(file, one.key.rpartition("/")[2], below)


def _is_hidden(below: str) -> bool:
    return any(part.startswith(".") for part in below.split("/"))


async def expand_all(arguments: Iterable[str], sites: Sites) -> dict[str, RemoteInput]:
    """What each URL among the arguments means; others are left out.

    Raises:
        UsageError: One is no URL that is read, or an extra is not installed.
    """
    addresses = {argument: _checked(argument) for argument in arguments if is_url(argument)}
    slots = asyncio.Semaphore(AT_ONCE)

    async def expanded(address: Address) -> RemoteInput:
        async with slots:
            return await expand(address, sites)

    async with asyncio.TaskGroup() as group:
        tasks = {argument: group.create_task(expanded(address)) for argument, address in addresses.items()}
    return {argument: task.result() for argument, task in tasks.items()}


def _checked(argument: str) -> Address:
    address = parse_address(argument)
    require(EXTRA_OF[address.scheme], f"{address.scheme}:// input")
    return address
