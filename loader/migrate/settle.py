"""Chooses the layout of a migration's source, if the options leave it open, and the job to go on with."""

from __future__ import annotations

import itertools
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace

import orjson

from loader.errors import QueueNameError
from loader.jobs.standing import DONE, job_key
from loader.migrate.options import MigrateOptions, target_options_named
from loader.preflight.choice import choose_layout
from loader.servers.question import ask
from loader.servers.retry import retry
from loader.servers.routing import Servers
from loader.servers.session import Session, open_session
from loader.stored.which_layout import layout_with_tasks
from loader.tasks.profiles import LayoutChoice, LayoutName
from loader.wire.address import Address

log = logging.getLogger("runqy_loader")

_LAYOUTS: tuple[LayoutName, ...] = ("documented", "asynq")


@dataclass(frozen=True, slots=True)
class Settled:
    """What a migration does.

    Attributes:
        options: The options with the source's layout.
        job: The name of its job.
        reason: Why the source has this layout; '' if it was given.
    """

    options: MigrateOptions
    job: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Begun:
    """A job that was begun.

    Attributes:
        layout: The layout of the end that was asked for.
        done: Whether a run of it has come to its end.
    """

    job: str
    layout: LayoutName
    done: bool


async def settled(options: MigrateOptions, source: Address, target: Address) -> Settled:
    """The source's layout, and the job's name.

    A job that was begun keeps its layout: it may have claimed all tasks, so that no key tells it any more.

    The name that is derived from the options depends on whether the layout is given. (Until November 2026, it was
    'documented' if it was left out.) So the job is also looked for under the names that it has otherwise. If such a job
    is done, its layout says nothing about tasks that came later: it goes on if the keys tell the same layout.

    Raises:
        LayoutMismatchError: The source has tasks in both layouts.
        LoaderError: A server cannot be reached, or refuses.
    """
    given = None if options.from_layout == "auto" else options.from_layout
    if given is not None and options.job is not None:
        return Settled(options, options.job)
    own, *others = _names(options, source, target)
    jobs = await _begun_jobs(options, [own, *others], target)
    begun = [job for job in jobs if given in (None, job.layout) or job.job == own]
    for job in [job for job in begun if not job.done] + [job for job in begun if job.job == own]:
        if given is not None:
            return Settled(options, job.job)
        return Settled(replace(options, from_layout=job.layout), job.job, f"job {job.job} was begun with this layout")
    layout, reason = (given, "") if given is not None else await _by_keys(options, source)
    name = next((job.job for job in begun if job.layout == layout), own)
    return Settled(replace(options, from_layout=layout), name, reason)


async def with_layout(options: MigrateOptions, job: str, target: Address) -> MigrateOptions:
    """Options for jobs of another system, with the layout to write: the one that was given, that the job was begun
    with, or that the target's signs of use choose.

    Raises:
        LayoutMismatchError: The signs of use contradict each other.
        LoaderError: The server cannot be reached, or refuses.
    """
    if options.to_layout is not None:
        return options
    begun = await _begun_jobs(options, [job], target, "to_layout")
    if begun:
        return replace(options, to_layout=begun[0].layout)
    servers = Servers(target, options.timeout)
    try:
        name = f"runqy-loader:migrate:{secrets.token_hex(6)}:0.1"
        await retry(lambda: servers.reach(name), options.retry_for, connected=False)
        unsettled = replace(replace(options, to_layout="documented").target, layout="auto", profile=options.profile)
        with target_options_named():
            choice = await choose_layout(servers, unsettled)
    finally:
        await servers.aclose()
    log.info("layout %s of the target: %s", choice.layout, choice.reason)
    return replace(options, to_layout=choice.layout)


def place(address: Address) -> str:
    """A server and database, without credentials."""
    return f"{address}/{address.db}"


def _names(options: MigrateOptions, source: Address, target: Address) -> list[str]:
    """The names that the job may have: first the one that these options give it."""
    names = [options.job_name(place(source), place(target))]
    if options.job is None:
        others: tuple[LayoutChoice, ...] = _LAYOUTS if options.from_layout == "auto" else ("auto",)
        for layout in others:
            with suppress(QueueNameError):  # no queue can have this name in that layout
                names.append(replace(options, from_layout=layout).job_name(place(source), place(target)))
    return names


async def _begun_jobs(
    options: MigrateOptions, names: Sequence[str], target: Address, end: str = "from_layout"
) -> list[_Begun]:
    """The jobs of these names that were begun, with the layout of one end."""
    found: list[_Begun] = []
    async with _session(options, target) as session:
        for name in names:
            key = job_key(name)
            questions = [ask(b"HGET", key.encode(), field) for field in (b"manifest", b"state")]
            manifest, state = await session.call(questions, f"key {key}")
            layout = orjson.loads(manifest).get(end) if manifest is not None else None
            if layout in _LAYOUTS:
                found.append(_Begun(name, layout, state == DONE.encode()))
    return found


async def _by_keys(options: MigrateOptions, source: Address) -> tuple[LayoutName, str]:
    """The layout that the source's keys tell, and why."""
    queues = {layout: name for layout in _LAYOUTS if (name := _queue(options, layout)) is not None}
    if len(queues) == 1:
        ((layout, name),) = queues.items()
        return layout, f"{name} is a name of this layout only"
    async with _session(options, source) as session:
        found = await layout_with_tasks(session, queues, "--from-layout")
    return found or ("documented", "no key shows the layout of the queue")


def _queue(options: MigrateOptions, layout: LayoutName) -> str | None:
    """The source queue's full name in a layout; None if it cannot have this name there."""
    try:
        return replace(options, from_layout=layout).source_queue
    except QueueNameError:
        return None


@asynccontextmanager
async def _session(options: MigrateOptions, address: Address) -> AsyncIterator[Session]:
    token, numbers = secrets.token_hex(6), itertools.count(1)
    name = f"runqy-loader:migrate:{token}"
    async with open_session(
        address, options.timeout, options.retry_for, lambda: f"{name}:0.{next(numbers)}"
    ) as session:
        yield session
