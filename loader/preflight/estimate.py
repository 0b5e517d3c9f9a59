"""Estimates the memory that a load needs, with a measurement on the server itself.

One script writes sampled tasks with the layout's own Lua code, measures them and deletes them again. So no other client
ever sees them, and no list names them. Their ids are random; an id that exists already is skipped.

``MEMORY USAGE`` returns the size of a key and its value, but not the rounding of the allocator (on Debian's Redis a
tenth of a small task), and not the slot in the table of all keys. The rounding is measured as the growth of
``used_memory`` during the same writes; the median over all samples is used, because a single sample is wrong if a table
is resized just then. A slot takes 8 bytes, and the number of slots is the next power of two (Redis 7 ``dict.c``;
Valkey's buckets of 64 bytes for 7 keys come to about the same).
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from loader.errors import SinkError, TransientError
from loader.layouts.base import QueueEncoder
from loader.layouts.compact import ANY_LENGTH, Dumps
from loader.layouts.lua import UNDO, as_sent
from loader.layouts.pays import usual_form
from loader.layouts.registry import encoder_for
from loader.preflight.checks import Finding
from loader.preflight.sample import Stretch, sample
from loader.preflight.scratch_key import scratch_key
from loader.preflight.server import room, room_on_machine
from loader.servers.routing import Servers
from loader.settings import LoadOptions
from loader.sinks.base import Delivery, is_pipelined
from loader.sources.base import Source
from loader.tasks.ids import id_prefix, id_suffixes
from loader.tasks.sizes import in_bytes
from loader.wire.client import Client
from loader.wire.faults import translated
from loader.wire.replies import parse_list

log = logging.getLogger("runqy_loader")

_LEAST_ROOM = 8 * 1024 * 1024
"""If less room than this is left, nothing is measured: the samples themselves might make the server evict keys."""

_CLOSE = 0.9
"""A load that needs more than this share of the room fits only just. The estimate is accurate to 10 %."""

_BALLAST = 256
"""The number of scratch keys that exist during the measurement, if the database has few keys. In a small table, each
new key may cause a resize, and Valkey shrinks the table again at once."""

_MOST_QUEUES = 16
"""The maximum number of queues to measure. Each needs its own script, which older servers keep until they restart."""

_ENTRIES = 2000
_DIFFERENT = 0.02
_SLOT = 8
_LEDGER_BYTES_A_BATCH = 4.125

_USED = b"""\
local function used()
  local told, info = pcall(redis.call, 'INFO', 'memory')
  return told and tonumber(string.match(info, 'used_memory:(%d+)')) or 0
end
local function usage(key)
  local bytes = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')
  return bytes or 0
end
"""
_TASKS = b"""\
-- Writes tasks, measures them, and deletes them again.
-- KEYS[1]: the beginning of the names of scratch keys
-- ARGV[1]: the number of scratch keys to write first
-- ARGV[2]: not used
-- ARGV[3]: the time in nanoseconds since 1970
-- ARGV[4] and on: each task's arguments
-- Reply: number of tasks, number of keys, their size in bytes, growth of used_memory in bytes
%(used)b
%(write)b
local undo, tasks, keys, bytes, grown = {}, 0, 0, 0, 0
local ok, fault = pcall(function()
  for i = 1, ARGV[1] do redis.call('SET', KEYS[1] .. i, '') end
  local before = used()
  for at = 4, #ARGV, %(width)d do
    if write(key_of(ARGV[at]), at, undo) == true then tasks = tasks + 1 end
  end
  grown = used() - before
  for i = 1, #undo do
    if type(undo[i]) == 'string' then
      local size = usage(undo[i])
      if size > 0 then keys, bytes = keys + 1, bytes + size end
    end
  end
end)
%(undo)b
for i = 1, ARGV[1] do redis.pcall('DEL', KEYS[1] .. i) end
if ok then return {tasks, keys, bytes, grown} end
if type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
"""
ENTRY = (
    b"""\
-- Measures a list or a sorted set of ids, and deletes it again.
-- KEYS[1]: a scratch key
-- ARGV[1]: ZADD or LPUSH
-- ARGV[2]: the number of entries
-- ARGV[3]: the beginning of their names
-- Reply: its size in bytes
%b
local ok, fault = pcall(function()
  for i = 1, ARGV[2] do
    local id = ARGV[3] .. string.format('%%05d', i)
    if ARGV[1] == 'ZADD' then redis.call('ZADD', KEYS[1], 1700000000 + i, id) else redis.call('LPUSH', KEYS[1], id) end
  end
  return usage(KEYS[1])
end)
redis.pcall('DEL', KEYS[1])
if ok or type(fault) == 'table' then return fault end
return redis.error_reply('ERR ' .. tostring(fault))
"""
    % _USED
)


def tasks_script(encoder: QueueEncoder) -> bytes:
    """The script that measures tasks."""
    return _TASKS % {b"used": _USED, b"undo": UNDO, b"write": encoder.insert_script, b"width": encoder.insert_width}


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated size of a load.

    Attributes:
        tasks: The number of tasks.
        exact: Whether they were counted, not extrapolated.
        size: Growth of Redis's ``used_memory``, in bytes.
        least: The growth that is certain; see ``_certain``.
    """

    tasks: int
    exact: bool
    size: int
    least: int = 0


async def estimate(
    control: Client,
    where: str,
    options: LoadOptions,
    stretches: Sequence[Stretch],
    keys_there: int,
    *,
    compact: Dumps | None = None,
) -> Estimate:
    """Measures sampled tasks and extrapolates.

    Args:
        keys_there: The number of keys in the database.
        compact: Which tasks are dumped, and how; None for no dumps.

    Raises:
        LoaderError: The server refuses, or cannot be reached.
    """
    queues = {delivery.queue: None for stretch in stretches for delivery in stretch.deliveries}
    encoders = {
        (queue, each): encoder_for(options, queue, compact=each)
        for queue in list(queues)[:_MOST_QUEUES]
        for each in {None, compact, _of_any_length(compact)}
    }
    ballast = _BALLAST if keys_there < 4 * _BALLAST else 0
    with translated(where):
        measures = [await _measure(control, options, stretch, encoders, compact, ballast) for stretch in stretches]
        scale, every = _allocator(measures), _together(measures)
        tasks = sum(stretch.tasks for stretch in stretches)
        size = new_keys = scheduled = certain = 0.0
        for stretch, own in zip(stretches, measures, strict=True):
            measure = own if own.tasks else every
            own_size = stretch.tasks * measure.bytes / max(1, measure.tasks) * scale
            size += own_size
            certain += own_size * _certain(stretch)
            new_keys += stretch.tasks * measure.keys / max(1, measure.tasks)
            scheduled += stretch.tasks * _scheduled_share(stretch, options)
        share = certain / size if size else 0.0
        size += (tasks - scheduled) * await _entry(control, options, stretches, "LPUSH") if tasks > scheduled else 0
        size += scheduled * await _entry(control, options, stretches, "ZADD") if scheduled else 0
    size += _SLOT * (table_slots(keys_there + new_keys) - table_slots(keys_there))
    size += _LEDGER_BYTES_A_BATCH * tasks / options.records_a_batch
    return Estimate(round(tasks), all(stretch.exact for stretch in stretches), round(size), round(size * share))


def _certain(stretch: Stretch) -> float:
    """The share of an estimate that is certain.

    An estimate is accurate to 10 % if the tasks are counted. Samples that are spread over the input show how much
    memory a byte of it takes; a quarter is kept in reserve for records unlike them. From the beginning of a gzip file
    nothing is known about how well its rest is compressed.
    """
    if stretch.exact:
        return 0.9
    return 0.5 if stretch.from_beginning else 0.75


async def estimate_finding(
    servers: Servers,
    options: LoadOptions,
    sources: Sequence[Source],
    info: Any,
    *,
    compact: Dumps | None,
    other_way: bool = False,
) -> Finding:
    """Whether the tasks of this input fit into the memory that is left. The level is error if they do not.

    Args:
        info: The server's reply to INFO.
        compact: Which tasks are dumped, and how; None for no dumps.
        other_way: Whether to say what they need the other way, too.

    Raises:
        SourceError: The input cannot be read.
        TransientError: The server cannot be reached, or is loading or busy.
    """
    name = "estimate"
    if servers.is_cluster:
        return Finding(name, "unknown", "not estimated for a cluster, whose nodes fill unevenly")
    control, where, left = servers.clients()[0], str(servers), room(info)
    if left is not None and left < _LEAST_ROOM:
        return Finding(name, "error", f"only {in_bytes(left)} left below maxmemory", "Make room, or raise maxmemory")
    stretches = await sample(sources, options, "estimate")
    if stretches is None:
        return Finding(name, "unknown", "standard input, iterables and queries cannot be read ahead")
    database = info.get(f"db{servers.address.db}", "") if isinstance(info, dict) else ""
    keys_there = int(parse_list(database).get("keys", 0))
    try:
        found = await estimate(control, where, options, stretches, keys_there, compact=compact)
    except TransientError:
        raise
    except SinkError as error:
        return Finding(name, "unknown", f"the server refuses to measure: {error.args[0]}")
    other = None
    if other_way:
        try:
            other_compact = None if compact else Dumps(form=usual_form(info))
            other = await estimate(control, where, options, stretches, keys_there, compact=other_compact)
        except TransientError:
            raise
        except SinkError as error:
            log.debug("not estimated the other way: %s", error)
    return compared(found, left, room_on_machine(info), compact=compact is not None, other=other)


def compared(
    found: Estimate,
    left: int | None,
    on_machine: int | None,
    *,
    compact: bool = False,
    other: Estimate | None = None,
) -> Finding:
    """Whether the tasks fit.

    Args:
        left: Bytes left below ``maxmemory``; None if there is no such limit.
        on_machine: Bytes of the machine's memory that the server does not use; None if unknown.
        compact: Whether they are written as dumps.
        other: What they need the other way.
    """
    name = "estimate"
    numbers: dict[str, float | None] = {
        "tasks": found.tasks,
        "needed_bytes": found.size,
        "least_bytes": found.least,
        "left_bytes": left,
    }
    if other is not None:
        numbers["compact_bytes"] = (found if compact else other).size
        numbers["hset_bytes"] = (other if compact else found).size
    each = f" ({in_bytes(found.size / found.tasks)} each)" if found.tasks else ""
    needs = f"{'' if found.exact else 'about '}{found.tasks:,} tasks need about {in_bytes(found.size)}{each}"
    if other is not None and abs(other.size - found.size) > _DIFFERENT * found.size:
        needs += f" {'compact' if compact else 'by HSET'}, and {in_bytes(other.size)} "
        needs += "by HSET (--compact never)" if compact else "compact (--compact always)"
    if left is None and on_machine is not None and found.size > on_machine:
        has = f"no maxmemory limits them, but the server's machine has {in_bytes(on_machine)} besides what it uses"
        hint = "Make room, or let workers drain the queue; with maxmemory a full server refuses tasks instead of dying"
        return Finding(name, "warning", f"{needs}; {has}", hint, numbers)
    if left is None:
        return Finding(name, "ok", f"{needs}; no maxmemory limits them", numbers=numbers)
    against = f"{needs}, {in_bytes(left)} left below maxmemory"
    if found.size > left:
        hint = "Make room, raise maxmemory, or let workers drain the queue during the load"
        return Finding(name, "error", f"{against}: they do not fit", hint, numbers)
    if found.size > _CLOSE * left:
        return Finding(name, "warning", f"{against}: they fit only just", "Make room, or raise maxmemory", numbers)
    return Finding(name, "ok", against, numbers=numbers)


@dataclass(frozen=True, slots=True)
class Measure:
    """The measured tasks of a stretch: their number, their keys, and the bytes of these keys.

    ``grown`` has a pair for each script: the bytes of its keys, and the growth of ``used_memory``.
    """

    tasks: int
    keys: int
    bytes: int
    grown: Sequence[tuple[int, int]]


def _of_any_length(compact: Dumps | None) -> Dumps | None:
    """The same for payloads of any length."""
    return None if compact is None else replace(compact, longest=ANY_LENGTH)


async def _measure(
    control: Client,
    options: LoadOptions,
    stretch: Stretch,
    encoders: Mapping[tuple[str, Dumps | None], QueueEncoder],
    compact: Dumps | None,
    ballast: int,
) -> Measure:
    tasks = keys = size = 0
    grown: list[tuple[int, int]] = []
    for delivery in stretch.deliveries:
        if (encoder := encoders.get((delivery.queue, compact))) is None:
            continue
        if compact is not None and is_pipelined(delivery, encoder):  # then a batch has one way
            is_short = sum(map(len, delivery.payloads)) <= compact.longest * len(delivery.payloads)
            encoder = encoders[delivery.queue, _of_any_length(compact) if is_short else None]
        script = as_sent(tasks_script(encoder))
        beginning = scratch_key(encoder.slot_tag, b"estimate") + b":"
        arguments = [beginning, b"%d" % ballast, *_arguments(options, encoder, delivery)]
        reply: Any = await control.execute("EVAL", script, 1, *arguments)
        tasks, keys, size = tasks + reply[0], keys + reply[1], size + reply[2]
        grown.append((reply[2], reply[3]))
    return Measure(tasks, keys, size, grown)


def _together(measures: Sequence[Measure]) -> Measure:
    """The sum of all measures, for stretches without a measurement."""
    return Measure(
        sum(measure.tasks for measure in measures),
        sum(measure.keys for measure in measures),
        sum(measure.bytes for measure in measures),
        (),
    )


def _arguments(options: LoadOptions, encoder: QueueEncoder, delivery: Delivery) -> Iterator[bytes]:
    """ARGV[2] and all after it, for these tasks with other ids of the same length, and without a start time."""
    count = len(delivery.payloads)
    token = secrets.token_hex(8)
    if delivery.id_prefix:
        prefix = id_prefix(f"estimate-{token}", 0, "")
        ids = [prefix + suffix for suffix in id_suffixes(0, count)]
    else:
        ids = [secrets.token_hex(len(own))[: len(own)].encode() for own in delivery.ids]
    given = delivery.options or [options.task_options] * count
    unscheduled = [replace(own, process_at=0, process_in=0, waits_in_group=False) for own in given]
    yield from (b"", b"%d" % time.time_ns())
    yield from encoder.insert_arguments(ids, delivery.payloads, unscheduled)


def _allocator(measures: Sequence[Measure]) -> float:
    """The ratio of the memory used to the result of MEMORY USAGE; 1 if it is unknown."""
    ratios = [grown / size for measure in measures for size, grown in measure.grown if size]
    median = sorted(ratios)[len(ratios) // 2] if ratios else 1.0
    return min(1.5, max(1.0, median))


async def _entry(control: Client, options: LoadOptions, stretches: Sequence[Stretch], how: str) -> float:
    """The bytes that one id needs in a list or in a sorted set."""
    lengths = [
        len(delivery.id_prefix) + len(own) for part in stretches for delivery in part.deliveries for own in delivery.ids
    ]
    delivery = next(delivery for part in stretches for delivery in part.deliveries)
    key = scratch_key(encoder_for(options, delivery.queue).slot_tag, b"estimate")
    start = b"x" * max(1, round(sum(lengths) / len(lengths)) - 5)
    reply: Any = await control.execute("EVAL", as_sent(ENTRY), 1, key, how, _ENTRIES, start)
    return int(reply) / _ENTRIES


def _scheduled_share(stretch: Stretch, options: LoadOptions) -> float:
    if options.layout != "asynq" or not stretch.sampled:
        return 0.0
    now, later = time.time(), 0
    for delivery in stretch.deliveries:
        given = delivery.options or [options.task_options] * len(delivery.payloads)
        later += sum(own.starts_at(now) > 0 for own in given)
    return later / stretch.sampled


def table_slots(keys: float) -> int:
    """The number of slots of a table with this many keys: the next power of two."""
    return 1 << max(2, (max(1, round(keys)) - 1).bit_length())
