"""Jobs that version 1 of the manifest began: they are noted under their sources, as later jobs note themselves.

So a file that such a job has loaded with other options, or under another name, is not loaded a second time unnoticed.
The keys of a server are searched for such jobs before a new job begins, and on a large server only once.
"""

from __future__ import annotations

import logging
from typing import Any

import hiredis
import orjson

from loader.jobs.source_index import index_keys, note_sources
from loader.jobs.standing import job_in, job_key
from loader.servers.routing import Servers
from loader.servers.scan import scan
from loader.wire.faults import translated

MARK = "runqy-loader:searched"
"""This key says that the server has been searched."""

MOST_KEYS = 1_000_000
"""A server with more keys is not searched: it would take seconds."""

_FEW_KEYS = 10_000
"""A server with fewer keys is searched each time, in a few milliseconds. It gets no mark."""

log = logging.getLogger("runqy_loader")


async def note_old_jobs(servers: Servers) -> None:
    """Notes the jobs of version 1 on a server, if it has any.

    Raises:
        LoaderError: The server cannot be reached, or refuses to note a job.
    """
    with translated(str(servers)):
        try:
            if await servers.client_of(MARK).execute("GET", MARK) is not None:
                return
            clients = servers.clients()
            total = sum([await client.execute("DBSIZE") for client in clients])
            if total > MOST_KEYS:
                log.debug("jobs begun before November 2026 are not searched for: the server has %d keys", total)
                return
            manifests: dict[str, dict[str, Any]] = {}
            for client in clients:
                async for keys in scan(client, job_key("*")):
                    texts = await client.execute_all([("HGET", key, "manifest") for key in keys])
                    for key, text in zip(keys, texts, strict=True):
                        manifests[job_in(key)] = orjson.loads(text or b"{}")
        except hiredis.ReplyError as error:  # most likely, a missing right
            log.debug("jobs begun before November 2026 are not searched for: %s", error)
            return
    for name, manifest in manifests.items():
        if manifest.get("version") == 1:
            await note_sources(servers, name, index_keys(manifest), _counts, again=True)
    if total > _FEW_KEYS:
        with translated(str(servers)):
            await servers.client_of(MARK).execute("SET", MARK, "1")


async def _counts(job: str) -> bool:
    return True  # not asked: an old job is noted beside any other
