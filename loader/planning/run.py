"""Makes a plan: reads the sample and the figures, or measures, and computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from loader.errors import UsageError
from loader.extras import require
from loader.layouts.pays import REDIS, VALKEY
from loader.machine import describe_machine
from loader.planning.costs import Cost, Costs, costs
from loader.planning.figure import Figure, Plan
from loader.planning.figures import Figures, Point, own_figures, short_name
from loader.planning.model import plan
from loader.planning.options import PlanOptions
from loader.planning.sampled import Sampled, sampled
from loader.planning.wanted import DASK, RATES, SNAPSHOTS, TASKS, Known, Wanted
from loader.settings import LoadOptions
from loader.sources.shards import shard_bytes_of
from loader.tasks.sizes import counted, in_bytes

OWN = "p"
"""Key of what the project has measured, beside a measurement of the user's own."""

_LINE_END = 1
_FILLING = b"abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789, "


async def make_plan(options: PlanOptions, paths: Sequence[str]) -> Plan:
    """The plan.

    Raises:
        LoaderError: The options cannot be used, a file cannot be read, or a server cannot be measured.
    """
    options.check(len(paths))
    if options.measure and options.redis == "embedded":
        require("embedded", "plan --measure")
    load = LoadOptions(
        queue="plan",
        layout=options.layout,
        profile=options.profile if options.layout == "asynq" else None,
        type="task" if options.profile == "asynq" else None,
        compact=options.compact,
        redis=options.redis if options.measure else "redis://localhost",
        redis_password_file=options.redis_password_file,
        redis_password_command=options.redis_password_command,
        timeout=options.timeout,
    )
    found = await sampled(paths, load) if paths else None
    wanted = _wanted(options, found)
    figures = own_figures()
    if options.measure:
        point = await _measured(load, found, wanted)
        known, sources = _of_measurement(figures, point, wanted)
    else:
        known, sources = _of_figures(figures, options, wanted)
    try:
        made = plan(wanted, known, sources)
    except ValueError as error:
        raise UsageError(str(error), "Give each more --memory, or more --hours") from error
    return made if found is None else _with_sample(made, found, wanted)


def _wanted(options: PlanOptions, found: Sampled | None) -> Wanted:
    payload = float(options.payload_bytes or 0) or (found.payload_bytes if found else 0.0)
    stored = found.stored_bytes / found.tasks if found else payload + _LINE_END
    tasks = options.tasks_wanted or (found.tasks if found else 0)
    return Wanted(
        tasks=tasks,
        payload=payload,
        input_bytes=stored,
        layout=options.layout,
        servers=options.servers,
        hours=options.hours,
        memory=options.memory_bytes,
        replicas=options.replicas,
        persistence=options.persistence,
        network=options.network_rate,
        cores=options.cores,
        workers_rate=options.workers,
    )


def _with_sample(made: Plan, found: Sampled, wanted: Wanted) -> Plan:
    """The same plan, which says that some of what is given was sampled."""

    def told(one: Figure) -> Figure:
        if one.name == "payload_bytes" and wanted.payload == found.payload_bytes:
            return replace(one, how="measured", basis=f"of {len(found.payloads):,} sampled records")
        if one.name == "tasks" and wanted.tasks == found.tasks:
            if found.exact:
                return replace(one, how="measured", basis="counted")
            return replace(one, how="extrapolated", basis="bytes of the input / mean of the sample")
        return one

    sections = [replace(one, figures=[told(figure) for figure in one.figures]) for one in made.sections]
    return replace(made, sections=sections)


def _of_figures(figures: Figures, options: PlanOptions, wanted: Wanted) -> tuple[Known, dict[str, str]]:
    if options.server not in figures.servers:
        raise UsageError(
            f"--server {options.server}: it has no figures",
            f"Give one of {', '.join(figures.servers)}, or measure with --measure --redis URL",
        )
    kind = options.layout, options.profile, is_compact(options, wanted.payload)
    alone, followed = _points(figures, options.server, kind)
    has_files = wanted.replicas > 0 or wanted.has_aof
    every = costs(alone, followed if has_files else alone, wanted.payload, TASKS)
    every = replace(every, file_bytes=costs(alone, followed, wanted.payload, TASKS).file_bytes)
    beside = ", with an append-only file (everysec) and a replica" if has_files else ""
    text = (
        f"{alone[0].server}{beside}, tasks {_form(alone[0])}: two loads of scratch tasks, their costs compared. "
        f"{figures.date}, {figures.where}; {figures.busy}."
    )
    return _known(figures, every, options.server, wanted), {TASKS: text, **_further(figures, options.server, wanted)}


def _points(figures: Figures, server: str, kind: tuple[str, str, bool]) -> tuple[list[Point], list[Point]]:
    """The points of one kind of task: on a server alone, and on one with an append-only file and a replica."""
    found = [
        point
        for point in figures.points
        if short_name(point.server) == server and (point.layout, point.profile, point.compact) == kind
    ]
    return [point for point in found if not point.replicas], [point for point in found if point.replicas]


def _form(point: Point) -> str:
    return "compact" if point.compact else "by HSET"


def is_compact(options: PlanOptions, payload: float) -> bool:
    """Whether tasks with such payloads are written compact: see ``loader.layouts.pays``."""
    if options.compact != "auto":
        return options.compact == "always"
    make = VALKEY if options.server.startswith("valkey") else REDIS
    return payload <= make[options.layout]


def _of_measurement(figures: Figures, point: Point, wanted: Wanted) -> tuple[Known, dict[str, str]]:
    """What was measured just now, and what cannot be measured on a server in use, from the project's figures."""
    server = short_name(point.server)
    like = server if server in figures.servers else "valkey-9.1" if server.startswith("valkey") else "redis-8.2"
    alone, followed = _points(figures, like, (point.layout, point.profile, point.compact))
    own, others = costs([point], [point], wanted.payload, TASKS), costs(alone, followed, wanted.payload, OWN)
    unlike = (wanted.replicas > 0 or wanted.has_aof) and point.persistence == "none" and not point.replicas
    server_us = _with_files(own.server_us, alone, followed, wanted.payload) if unlike else own.server_us
    found = replace(
        own,
        server_us=server_us,
        replicated_bytes=own.replicated_bytes or others.replicated_bytes,
        aof_bytes=own.aof_bytes or others.aof_bytes,
        file_bytes=others.file_bytes,
    )
    machine = describe_machine()
    text = (
        f"{point.server}, persistence {point.persistence}, {counted(point.replicas, 'replica')}, tasks {_form(point)}: "
        f"measured just now with {point.tasks:,} scratch tasks, on {machine['cores']} cores of {machine['cpu']}. What "
        "other clients did meanwhile is in the CPU of the server."
    )
    of_project = (
        f"{alone[0].server}, tasks {_form(alone[0])}: as measured by the project. {figures.date}, {figures.where}."
    )
    sources = {TASKS: text, OWN: of_project, **_further(figures, like, wanted)}
    return _known(figures, found, like, wanted), sources


def _with_files(cost: Cost, alone: list[Point], followed: list[Point], payload: float) -> Cost:
    """The CPU of a server with an append-only file and a replica, from that of one with neither."""
    without, beside = costs(alone, alone, payload, OWN).server_us, costs(alone, followed, payload, OWN).server_us
    factor = max(1.0, beside.value / without.value)
    basis = f"x {factor:.1f} [{OWN}] for file and replica"
    return Cost(cost.value * factor, "extrapolated", basis, cost.source)


def _known(figures: Figures, every: Costs, server: str, wanted: Wanted) -> Known:
    rates = {rate.persistence: rate.tasks_per_second for rate in figures.rates}
    factor = min(1.0, rates["aof-always"] / rates["aof-everysec"]) if wanted.persistence == "aof-always" else 1.0
    return Known(
        costs=every,
        snapshot=figures.snapshot_of(server),
        sync_factor=factor,
        scheduler=figures.scheduler,
        shard_bytes=shard_bytes_of(math.ceil(wanted.tasks * wanted.input_bytes)),
    )


def _further(figures: Figures, server: str, wanted: Wanted) -> dict[str, str]:
    snapshot, found, there = figures.snapshot_of(server), dict[str, str](), "Same machine and day."
    found[SNAPSHOTS] = (
        f"{snapshot.server} with {snapshot.keys:,} keys, {in_bytes(snapshot.used_bytes)}: one snapshot alone, one with "
        f"{snapshot.tasks_meanwhile:,} tasks loaded beside it. {there}"
    )
    if wanted.persistence == "aof-always":
        rate = next(one for one in figures.rates if one.persistence == "aof-always")
        found[RATES] = f"{rate.server}, appendfsync always beside everysec, median of {rate.runs} loads. {there}"
    if (scheduler := figures.scheduler) is not None:
        found[DASK] = (
            f"distributed {scheduler.version}, {scheduler.tasks:,} empty tasks, {scheduler.workers} workers. {there}"
        )
    return found


async def _measured(load: LoadOptions, found: Sampled | None, wanted: Wanted) -> Point:
    from loader.planning.measure import measure

    payloads = found.payloads if found is not None else [made_up(round(wanted.payload))]
    if load.redis != "embedded":
        return await measure(load, payloads)
    from loader.servers.embedded import embedded_server

    async with embedded_server(None) as address:
        return await measure(replace(load, redis=address.url), payloads)


def made_up(length: int) -> bytes:
    """A payload of this many bytes, one at least: JSON text."""
    inside = length - len(b'""')
    return b"1" if inside < 0 else b'"' + (_FILLING * (inside // len(_FILLING) + 1))[:inside] + b'"'
