"""Finds out what a load would do: reads the beginning of its input, and asks its server. Nothing is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

from loader.engine.known_queues import known_queues, queues_in_file
from loader.engine.plan import LoadPlan, Proposal
from loader.engine.queue_field import require_queue_field
from loader.engine.targets.find_job import find_job, refuse_taken, taken_source
from loader.engine.targets.registry import asks_server, require_extras
from loader.errors import LoaderError
from loader.explanation.explanation import Explanation, Part, WrittenKey
from loader.explanation.words import further_part, input_part, queue_part, task_part
from loader.explanation.written import files_of, job_keys, task_keys
from loader.jobs.job import Job
from loader.jobs.job_keys import keys_of, marks_of
from loader.jobs.standing import DONE, Standing
from loader.outputs.place import file_of
from loader.preflight.choice import choose_layout
from loader.servers.routing import Servers
from loader.settings import LoadOptions, settled
from loader.settings.server_address import server_address
from loader.shaping.settle import settled_shape
from loader.sources.base import Source
from loader.sources.open_sources import open_sources
from loader.sources.option_input import input_of
from loader.sources.problems import Problems
from loader.sources.remote.spool import Spool
from loader.tasks.sizes import counted
from loader.wire.address import Address
from loader.wire.target import ToDiscard, ToEmbedded, ToHttp, ToRedis

T = TypeVar("T")

_SCRATCH = "before it begins, a load writes a few scratch keys and deletes them, to see what the server can do"


async def explain(options: LoadOptions, paths: Sequence[str], files: dict[str, Path | None]) -> Explanation:
    """Explains the load of these options.

    Args:
        paths: The input.
        files: Files that are written beside those of the load's own options, by what they hold.

    Raises:
        LoaderError: The load would fail for a reason that is known before it begins: a wrong option, input that cannot
            be read or looks like something else, no connection, a layout that cannot be chosen, a source that another
            job has loaded.
    """
    options.check()
    require_extras(options)
    options = settled_shape(options)
    problems = Problems(skip=options.skip_bad_files)
    named = (*files.values(), file_of(options.rejects), file_of(options.ids_out))
    own = [path for path in named if path]
    with Spool() as spool:
        sources = await open_sources(
            input_of(options, list(paths)),
            options.format,
            own,
            problems,
            force_format=options.force_format,
            tables=options.tables,
            spool=spool,
        )
        await require_queue_field(options, sources)
        explained = await _Explained.of(options, sources)
    beginning = [input_part(sources), *explained.parts, queue_part(options), task_part(explained.options)]
    further = further_part(options)
    parts = [*beginning, *([] if further is None else [further])]
    return Explanation(parts, explained.keys, files_of(explained.options, explained.job, files))


class _Explained:
    """What the target says of a load.

    Attributes:
        options: With the layout.
        job: Name of the job.
    """

    def __init__(self, options: LoadOptions, job: str, parts: list[Part], keys: list[WrittenKey]) -> None:
        self.options = options
        self.job = job
        self.parts = parts
        self.keys = keys

    @classmethod
    async def of(cls, options: LoadOptions, sources: Sequence[Source]) -> _Explained:
        if not asks_server(options):
            return await _without_server(options, sources)
        match options.target:
            case ToEmbedded(directory):
                from loader.servers.embedded import embedded_server  # 20 ms, only needed here

                # A new folder would be filled. An empty server in its place tells the same.
                there = directory if directory is not None and directory.is_dir() and any(directory.iterdir()) else None
                async with embedded_server(there) as address:
                    return await _on_server(address, options, sources, _embedded(directory))
            case _:
                address = server_address(options)
                return await _on_server(address, options, sources, str(address))


def _embedded(directory: Path | None) -> str:
    stays = "its data is deleted when the load ends" if directory is None else f"its data stays in {directory}"
    return f"the bundled Valkey, which is started for the load; {stays}"


async def _without_server(options: LoadOptions, sources: Sequence[Source]) -> _Explained:
    options = settled(options, options.layout_without_server)
    queues_in_file(options).check(*options.own_queues)
    proposal = Proposal.of(options, sources)
    plan = await proposal.planned(proposal.names[0])
    match options.target:
        case _ if options.preview is not None:
            where = f"nothing is written: the first {options.preview:,} tasks are shown (--preview)"
        case _ if options.dry_run:
            where = "nothing is written: the records are only read and checked (--dry-run)"
        case ToHttp(url):
            how = f"{options.records_a_batch:,} tasks a request" if options.http_mode == "batch" else "a task a request"
            where = f"sent to {url}, {how}, {options.http_connections:,} requests at a time"
        case ToDiscard():
            where = "nothing is written: the tasks are encoded and dropped (--redis discard)"
        case _:
            raise AssertionError("a server would have been asked")
    kind = "http" if isinstance(options.target, ToHttp) and not options.writes_nothing else "nothing"
    parts = [Part("target", [where], {"kind": kind})]
    if kind == "http":
        parts.append(Part("job", [f"{plan.job}{_derived(options)}; its journal says what is in"], {"name": plan.job}))
    else:
        parts.append(Part("job", [f"{plan.job}{_derived(options)}; no record is kept"], {"name": plan.job}))
    return _Explained(options, plan.job, parts, [])


async def _on_server(address: Address, options: LoadOptions, sources: Sequence[Source], named: str) -> _Explained:
    async with aclosing(Servers(address, options.timeout)) as servers:
        await servers.reach("runqy-loader:explain")
        proposal, job, recorded, reason = await _job(servers, options, sources)
        plan = await proposal.planned(job.name, recorded)
        known = await known_queues(plan.options, queues_in_file(plan.options), servers)
        known.check(*plan.options.own_queues)
        standing = await job.standing()
        has_loaded = recorded is not None and await job.has_loaded()
        if taken := await taken_source(servers, plan, resumed=has_loaded):
            await refuse_taken(servers, plan, taken)
        batches = await marks_of(servers, await keys_of(servers, standing)) if recorded is not None else 0
        kind = "redis" if isinstance(options.target, ToRedis) else "embedded"
        cluster = f", a cluster of {servers.cluster_size} primaries" if servers.is_cluster else ""
        layout = plan.options.layout_name
        parts = [
            Part("target", [f"{named}{cluster}", _SCRATCH], {"kind": kind, "server": str(address)}),
            Part("layout", [f"{layout}: {reason}"], {"name": layout, "reason": reason}),
            _job_part(plan, standing, batches),
        ]
        keys = [*task_keys(plan.options), *job_keys(plan.options, plan.job, plan.manifest)]
        return _Explained(plan.options, plan.job, parts, keys)


async def _job(
    servers: Servers, options: LoadOptions, sources: Sequence[Source]
) -> tuple[Proposal, Job, dict[str, Any] | None, str]:
    """The job that the load would go on with, or begin, its manifest, and why it has its layout."""
    proposals = Proposal.for_each_layout(options, sources)
    choice = refused = None
    if options.layout == "auto":
        try:
            choice = await choose_layout(servers, options)
        except LoaderError as error:  # a job that was begun needs no choice
            refused = error
    found = await find_job(servers, proposals, _once)
    if found is not None:
        return found.proposal, found.job, found.recorded, f"job {found.first} was begun with it"
    if refused is not None:
        raise refused
    if choice is None:
        first = proposals[0]
        return first, Job(servers, first.names[0]), None, "--layout says so"
    proposal = next(one for one in proposals if one.options.layout == choice.layout)
    return proposal, Job(servers, proposal.names[0]), None, choice.reason


async def _once(step: Callable[[], Awaitable[T]]) -> T:
    return await step()


def _derived(options: LoadOptions) -> str:
    return "" if options.job is not None else ", a name made from the content of the input and where it goes"


def _job_part(plan: LoadPlan, standing: Standing, batches: int) -> Part:
    named = "" if plan.options.job == plan.job else _derived(plan.options)
    kept = plan.options.keep_job
    in_batches = f"{counted(batches, 'batch', 'es')} {'is' if batches == 1 else 'are'}"
    if standing.manifest is None:
        state = "new"
        says = (
            f"it is new. When it has finished, its record is kept {'for ever' if kept == 'forever' else f'for {kept}'}"
        )
    elif standing.state == DONE:
        state = "finished"
        says = f"it has finished: {in_batches} in, and no record is loaded a second time (--again does so)"
    else:
        state = "begun"
        says = f"it was begun: {in_batches} in, and the load goes on after that"
    told = [f"{plan.job}{named}", says]
    if standing.holder is not None:
        process = f"{standing.holder.get('pid', '?')} on {standing.holder.get('host', '?')}"
        told.append(f"process {process} loads it now: a second one is refused")
    facts = {"name": plan.job, "state": state, "batches_in": batches, "is_running": standing.holder is not None}
    return Part("job", told, facts)
