"""Which run of a shard may write, where several machines load one job.

A cluster of workers may run one shard twice at the same moment: it hands a shard over when its worker does not answer,
and that worker may wake up later. Process ids and host names mean nothing across machines. So each run of a shard takes
a claim with a rising number, for each queue, before it reads that queue's ledger. The script that commits a batch
checks it (``ledger_scripts``), and the run with the older claim stops.

Hashes are written before the script runs, by plain commands, which check nothing. So a run that takes a shard over has
the server close the connections of the run before it, after it has taken its claim: what they have sent and the server
has not executed yet, it never executes. A run proves its claims when it has opened another connection, before it writes
over it. A connection that was open before the claim was taken needs no proof: who takes over later closes it. This is
as with the lease (``lease.py``), which fences the load as a whole: the connections of an earlier load are closed by the
load that takes its job over.

The claim is ``<number> <run of the loader>:<process>``. Two runs may have the same number if the server has lost data;
the one that is noted counts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from loader.jobs.lease import Lease
from loader.jobs.ledger import LedgerState, QueueLedger
from loader.layouts.lua import as_sent
from loader.servers.routing import Servers
from loader.wire.faults import ShardTakenOverError, translated
from loader.wire.replies import pairs

TAKE = b"""\
-- Gives a run of a shard the newest claim on the shard, and reads the ledger: from then on, no other run changes it.
-- KEYS[1]: the claim: a hash with
--          claim: the number, a blank, and who has it: the run of the loader, a colon, the process
--          before: the batches that were in when that run of the loader took its first claim
--          others: all of that run of the loader who have had it, each after a blank
-- KEYS[2]: the bitmap of the batches that are in
-- KEYS[3]: the CRC-32 of each batch
-- KEYS[4]: the hash from batch to skipped positions
-- ARGV[1]: who takes it
-- Reply: the claim; the field others; the field before; the three keys of the ledger
local number, holder = string.match(redis.call('HGET', KEYS[1], 'claim') or '', '^(%d+) (.*)$')
local claim = string.format('%d %s', (tonumber(number) or 0) + 1, ARGV[1])
local batches = redis.call('GET', KEYS[2]) or ''
local before, others = batches, ''
if holder and string.match(holder, '^[^:]*') == string.match(ARGV[1], '^[^:]*') then
  -- The server may have lost them, and the claim was noted again: then what is in counts for this run of the loader.
  before, others = redis.call('HGET', KEYS[1], 'before') or '', redis.call('HGET', KEYS[1], 'others') or ''
  if not string.find(others .. ' ', ' ' .. holder .. ' ', 1, true) then others = others .. ' ' .. holder end
end
redis.call('HSET', KEYS[1], 'claim', claim, 'before', before, 'others', others)
return {claim, others, before, batches, redis.call('GET', KEYS[3]) or '', redis.call('HGETALL', KEYS[4])}
"""

PROVE = b"""\
-- Whether a claim is still the newest one. If the server has lost it, it is noted again.
-- KEYS[1]: as KEYS[1] of the script that takes it
-- ARGV[1]: the claim
-- Reply: the newest claim
local newest = redis.call('HGET', KEYS[1], 'claim')
local function number(text) return tonumber(string.match(text, '^%d+')) end
if newest and (newest == ARGV[1] or number(newest) >= number(ARGV[1])) then return newest end
redis.call('HSET', KEYS[1], 'claim', ARGV[1])
return ARGV[1]
"""


@dataclass(frozen=True, slots=True)
class _Held:
    ledger: QueueLedger
    since: float  # a moment before it was taken (time.monotonic)


class Claims:
    """The claims of one run of a shard, for each of its queues.

    Args:
        holder: Who takes them; see ``Run.process_name``.
    """

    def __init__(self, servers: Servers, lease: Lease, holder: str) -> None:
        self._servers = servers
        self._lease = lease
        self._holder = holder
        self._held: list[_Held] = []

    async def take(self, ledger: QueueLedger) -> LedgerState:
        """Takes the claim for one queue, stops the runs that had it, and returns the ledger.

        Raises:
            LoaderError: The server does not answer, or replies with an error.
        """
        asked_at = time.monotonic()
        keys = (ledger.claim_key, ledger.batches_key, ledger.checksums_key, ledger.skipped_key)
        with translated(str(self._servers)):
            claim, others, before, batches, checksums, flat = await self._servers.client_of(keys[0]).execute(
                "EVAL", as_sent(TAKE), len(keys), *keys, self._holder
            )
        # All who have had it: the reply to an earlier attempt may be lost, and with it who was to be stopped.
        if stopped := {*others.decode().split()} - {self._holder}:
            await self._lease.close_connections(stopped)
        ledger.claim = claim
        self._held.append(_Held(ledger, asked_at))
        return LedgerState.of(batches, checksums, pairs(flat), None if before == batches else before)

    async def prove(self, opened: float) -> None:
        """Makes sure that no other run has taken a claim of this run, for connections that it is to use.

        Args:
            opened: When the last of the connections was opened (``time.monotonic``).

        Raises:
            ShardTakenOverError: Another run has.
            LoaderError: The server does not answer, or replies with an error.
        """
        for held in self._held:
            if held.since > opened:
                continue
            ledger = held.ledger
            with translated(str(self._servers)):
                newest = await self._servers.client_of(ledger.claim_key).execute(
                    "EVAL", as_sent(PROVE), 1, ledger.claim_key, ledger.claim
                )
            if newest != ledger.claim:
                raise ShardTakenOverError(f"another run of this shard has the newer claim {newest.decode()}")
