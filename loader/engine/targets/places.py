"""Where the rejects and ids of a job go: what its record has, and where a resume goes on."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from loader.jobs.standing import Standing
from loader.outputs.place import absolute_place, is_place
from loader.settings import LoadOptions
from loader.settings.option import flag_of

log = logging.getLogger("runqy_loader")


def as_recorded(where: Path | str) -> str:
    """The absolute path of a file, or a place, as the record of a job has it."""
    return absolute_place(where) if isinstance(where, str) else str(where.absolute())


def in_same_places(options: LoadOptions, job: Standing) -> LoadOptions:
    """The options of a run, with the places of earlier runs for one file a shard, if the options name none.

    Another place, or an engine that writes no files of shards, is told.
    """
    for name, before in (("rejects", job.rejects), ("ids_out", job.ids)):
        if before is None or not is_place(before):
            continue
        given = getattr(options, name)
        if given is None and options.engine == "dask":
            options = replace(options, rejects=before) if name == "rejects" else replace(options, ids_out=before)
            log.info("%s %s, as in earlier runs of job %s", flag_of(name), before, job.name)
        elif given is None or as_recorded(given) != before:
            log.warning("earlier runs of job %s had %s %s, and this one has not", job.name, flag_of(name), before)
    return options
