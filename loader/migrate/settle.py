"""Chooses the layout of a migration's source, if the options leave it open."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import replace

import orjson

from loader.errors import QueueNameError
from loader.migrate.options import MigrateOptions
from loader.servers.session import Session
from loader.stored.which_layout import layout_with_tasks
from loader.tasks.profiles import LayoutName
from loader.wire.address import Address
from loader.wire.resp import command

_LAYOUTS: tuple[LayoutName, ...] = ("documented", "asynq")


async def settled(options: MigrateOptions, job: str, source: Address, target: Address) -> tuple[MigrateOptions, str]:
    """The options with the source's layout, and why it has this layout.

    A job that was begun keeps its layout: it may have claimed all tasks, so that no key tells it any more.

    Raises:
        LayoutMismatchError: The source has tasks in both layouts.
        LoaderError: A server cannot be reached, or refuses.
    """
    if (recorded := await _recorded(options, job, target)) is not None:
        return replace(options, from_layout=recorded), f"job {job} was begun with this layout"
    names = {layout: name for layout in _LAYOUTS if (name := _name(options, layout)) is not None}
    if len(names) == 1:
        ((layout, name),) = names.items()
        return replace(options, from_layout=layout), f"{name} is a name of this layout only"
    session = _session(options, source)
    try:
        found = await layout_with_tasks(session, names, "--from-layout")
    finally:
        await session.close()
    layout, reason = found or ("documented", "no key shows the layout of the queue")
    return replace(options, from_layout=layout), reason


async def _recorded(options: MigrateOptions, job: str, target: Address) -> LayoutName | None:
    """The layout of the source in the record of a job that was begun."""
    session = _session(options, target)
    try:
        record = command(b"HGET", f"runqy-loader:{{{job}}}:job".encode(), b"manifest")
        (manifest,) = await session.values(record, 1)
    finally:
        await session.close()
    layout = orjson.loads(manifest).get("from_layout") if isinstance(manifest, bytes) else None
    return layout if layout in _LAYOUTS else None


def _name(options: MigrateOptions, layout: LayoutName) -> str | None:
    """The source queue's full name in a layout; None if it cannot have this name there."""
    try:
        return replace(options, from_layout=layout).source_queue
    except QueueNameError:
        return None


def _session(options: MigrateOptions, address: Address) -> Session:
    token, numbers = secrets.token_hex(6), itertools.count(1)
    return Session(
        address, options.timeout, options.retry_for, lambda: f"runqy-loader:migrate:{token}:0.{next(numbers)}"
    )
