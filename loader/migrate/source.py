"""The sources of tasks: a copy reads a snapshot, a move claims tasks step by step."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, Protocol

from loader.layouts.look_up import DROP_LOOK_UP, TASK_TO_LOOK_UP
from loader.layouts.lua import as_sent, lua_string
from loader.migrate.target import on_look_ups
from loader.servers.question import ask, ask_script
from loader.servers.session import Session
from loader.stored.fetch import Fetched, Fetcher
from loader.stored.queue_reader import StoredQueue
from loader.stored.snapshot import pending_ids
from loader.stored.spool import Spool

_STEP = 1000

Verb = Literal["drop", "forget", "aside"]
"""How to settle a claimed task: delete it; drop only its id; keep it aside until the end."""


class TaskSource(Protocol):
    """Hands out tasks, the next to be consumed first."""

    async def take(self, in_flight: int) -> Fetched:
        """The next tasks; none at the end.

        Args:
            in_flight: The number of tasks that are handed out and not settled yet.
        """
        ...

    async def settle(self, verb: Verb, ids: Sequence[bytes]) -> None:
        """Settles tasks that were handed out, in the order in which they were taken."""
        ...


class Snapshot:
    """A ``TaskSource`` with the tasks that were pending at the beginning. It changes nothing in the source."""

    def __init__(self, session: Session, queue: StoredQueue, spool: Spool, max_tasks: int) -> None:
        self._session = session
        self._queue = queue
        self._spool = spool
        self._fetcher = Fetcher(session, queue, max_tasks)
        self._chunks: AsyncGenerator[Fetched, None] | None = None

    async def take(self, in_flight: int) -> Fetched:
        if self._chunks is None:
            async for ids in pending_ids(self._session, self._queue):
                self._spool.add(ids)
            self._chunks = self._each()
        return await anext(self._chunks, Fetched())

    async def _each(self) -> AsyncGenerator[Fetched, None]:
        for ids in self._spool.backwards():
            async for fetched in self._fetcher.each(ids):
                running = [task for task in fetched.tasks if task.state not in ("", "pending")]
                if running:
                    fetched.tasks = [task for task in fetched.tasks if task not in running]
                    fetched.missing += [task.id for task in running]
                yield fetched

    async def settle(self, verb: Verb, ids: Sequence[bytes]) -> None:
        pass


# Each script may be repeated after a lost connection, and may even run late: its effect depends only on the content of
# the lists when it runs. In the holding list, the oldest task is on the right, as in the pending list.

CLAIM = b"""\
-- Moves ids from the pending list to the holding list, until enough are claimed and not handed out yet.
-- KEYS[1]: the pending list
-- KEYS[2]: the holding list
-- ARGV[1]: the number of ids to hand out
-- ARGV[2]: the number of ids that are handed out already
-- Reply: the ids, the newest first
local short = ARGV[1] + ARGV[2] - redis.call('LLEN', KEYS[2])
for i = 1, short do
  if not redis.call('RPOPLPUSH', KEYS[1], KEYS[2]) then break end
end
return redis.call('LRANGE', KEYS[2], -(ARGV[1] + ARGV[2]), -(ARGV[2] + 1))
"""
_SETTLE = b"""\
-- Settles claimed tasks.
-- KEYS[1]: the holding list
-- KEYS[2]: the list of tasks kept aside
-- ARGV[1]: 'drop': delete the task; 'forget': drop only its id; 'aside': keep it aside
-- ARGV[2] and on: ids, in the order in which they were claimed
-- Reply: the number of settled tasks
local function drop(id)
%b\
end
local what = {drop = drop, forget = function() end, aside = function(id) redis.call('LPUSH', KEYS[2], id) end}
local settled = 0
for i = 2, #ARGV do
  -- Only an id that is still held: a late repetition must not touch a task that came back under its old id.
  if redis.call('LREM', KEYS[1], -1, ARGV[i]) == 1 then
    local ok, fault = pcall(what[ARGV[1]], ARGV[i])
    if not ok then
      redis.call('RPUSH', KEYS[1], ARGV[i])
      if type(fault) == 'table' then return fault end
      return redis.error_reply('ERR ' .. tostring(fault))
    end
    settled = settled + 1
  end
end
return settled
"""
PUT_BACK = b"""\
-- Puts claimed ids back into the pending list, the newest first, so that the oldest is consumed first.
-- KEYS[1]: the list that holds them
-- KEYS[2]: the pending list
-- ARGV[1]: the number of oldest ids to keep
-- ARGV[2]: the maximum number of ids to put back
-- Reply: the number of ids put back
redis.call('LLEN', KEYS[2])
local moved = 0
while moved < tonumber(ARGV[2]) and redis.call('LLEN', KEYS[1]) > tonumber(ARGV[1]) do
  redis.call('RPUSH', KEYS[2], redis.call('LINDEX', KEYS[1], 0))
  redis.call('LPOP', KEYS[1])
  moved = moved + 1
end
return moved
"""
_DROP_ASYNQ = b"""\
  local key = %b .. id
  local lock = redis.call('HGET', key, 'unique_key')
  if lock and redis.call('GET', lock) == id then redis.call('DEL', lock) end
  redis.call('DEL', key)
"""
_DROP_LOOK_UP = b"""\
  -- runqy's look-up by id: a hash with only the queue's name. A hash with another queue belongs to another task.
  local reverse = 'asynq:t:' .. id
  if redis.call('TYPE', reverse).ok == 'hash' and redis.call('HLEN', reverse) == 1
    and redis.call('HGET', reverse, 'queue') == %b then redis.call('DEL', reverse) end
"""


class Claims:
    """A ``TaskSource`` that claims tasks by moving their ids from the pending list to the job's own list.

    If a worker takes a task first, the task is not claimed. Tasks that are not claimed are not touched.

    Args:
        keeps_hashes: Whether the target writes the task into the source's own hash.
        look_up: Queue for runqy's look-up, which replaces the hash; empty for no look-up.
        cluster: Whether the source is a cluster, where the keys ``asynq:t:<id>`` are in other slots.
    """

    def __init__(
        self,
        session: Session,
        queue: StoredQueue,
        job: str,
        max_tasks: int,
        *,
        keeps_hashes: bool = False,
        look_up: str = "",
        cluster: bool = False,
    ) -> None:
        tag = b"%b:runqy-loader:" % queue.slot_tag
        base = b"%b%b:" % (tag, job.encode())
        self.holding_key, self.aside_key = base + b"moving", base + b"aside"
        self.moves_key = tag + b"moves"
        self._tag, self._job = tag, job.encode()
        self._session = session
        self._pending_key = queue.pending_key
        self._fetcher = Fetcher(session, queue, max_tasks)
        self._layout, self._queue_name = queue.layout, queue.name.encode()
        self._keeps_hashes, self._look_up, self._on_other_slots = keeps_hashes, look_up, cluster
        script = settle_script(queue, keeps_hashes=keeps_hashes, look_up=look_up, cluster=cluster)
        self._settle_script = as_sent(script)
        self._where = f"keys {queue.pending_key.decode()} and {base.decode()}*"

    async def enter(self) -> dict[str, int]:
        """Adds the job to the jobs that move this queue's tasks. Returns how many tasks the others hold, by job."""
        questions = [ask(b"SADD", self.moves_key, self._job), ask(b"SMEMBERS", self.moves_key)]
        _, jobs = await self._session.call(questions, self._where)
        others = sorted(job for job in jobs if job != self._job)
        keys = [self._tag + job + end for job in others for end in (b":moving", b":aside")]
        lengths = await self._session.call([ask(b"LLEN", key) for key in keys])
        counts = (int(moving) + int(aside) for moving, aside in zip(lengths[::2], lengths[1::2], strict=True))
        return {job.decode(): count for job, count in zip(others, counts, strict=True) if count}

    async def leave(self) -> None:
        """Removes the job from that set: it holds no tasks any more."""
        await self._session.call([ask(b"SREM", self.moves_key, self._job)], self._where)

    async def held(self) -> list[bytes]:
        """The ids that are claimed and not settled, the next to be consumed first."""
        (ids,) = await self._session.call([ask(b"LRANGE", self.holding_key, b"0", b"-1")], self._where)
        return list(reversed(ids))

    async def take(self, in_flight: int) -> Fetched:
        keys = (self._pending_key, self.holding_key)
        claim = ask_script(as_sent(CLAIM), keys, b"%d" % self._fetcher.max_tasks, b"%d" % in_flight)
        (ids,) = await self._session.call([claim], self._where)
        return await self._fetcher.fetch(list(reversed(ids)))

    async def settle(self, verb: Verb, ids: Sequence[bytes]) -> None:
        if not ids:
            return
        if verb == "drop" and self._on_other_slots:
            # First: as long as they are held, a killed run is repeated from here on.
            await self._drop_on_other_slots(ids)
        keys = (self.holding_key, self.aside_key)
        await self._session.call([ask_script(self._settle_script, keys, verb.encode(), *ids)], self._where)

    async def _drop_on_other_slots(self, ids: Sequence[bytes]) -> None:
        """Deletes the keys ``asynq:t:<id>``: the tasks, or in layout asynq runqy's look-ups."""
        if self._layout == "asynq":
            await on_look_ups(self._session, DROP_LOOK_UP, ids, self._queue_name)
        elif self._look_up:
            await on_look_ups(self._session, TASK_TO_LOOK_UP, ids, self._look_up.encode())
        elif not self._keeps_hashes:
            await self._session.call([ask(b"DEL", b"asynq:t:" + task_id) for task_id in ids], "hashes of tasks")

    async def put_back(self, keep: int) -> int:
        """Puts claimed tasks back into the pending list, in their order. Returns their number.

        Args:
            keep: The number of oldest tasks to keep.
        """
        # The tasks kept aside were claimed before all held tasks, so they go back last.
        return await self._put_back(self.holding_key, keep) + await self._put_back(self.aside_key, 0)

    async def _put_back(self, key: bytes, keep: int) -> int:
        total = 0
        while True:
            step = ask_script(as_sent(PUT_BACK), (key, self._pending_key), b"%d" % keep, b"%d" % _STEP)
            (moved,) = await self._session.call([step], self._where)
            total += int(moved)
            if moved < _STEP:
                return total


def settle_script(queue: StoredQueue, *, keeps_hashes: bool, look_up: str, cluster: bool = False) -> bytes:
    """The script of ``Claims.settle``; see ``Claims`` for the arguments."""
    return _SETTLE % _drop(queue, keeps_hashes, look_up, cluster)


def _drop(queue: StoredQueue, keeps_hashes: bool, look_up: str, cluster: bool) -> bytes:
    if queue.layout == "asynq":
        drop = _DROP_ASYNQ % lua_string(queue.task_key(b""))
        if cluster:
            return drop
        # With a documented target on the same server, that key is the task itself: it has more fields than the queue.
        return drop + _DROP_LOOK_UP % lua_string(queue.name.encode())
    if keeps_hashes or cluster:
        return b""
    drop = b"  redis.call('DEL', 'asynq:t:' .. id)\n"
    if look_up:
        drop += b"  redis.call('HSET', 'asynq:t:' .. id, 'queue', %b)\n" % lua_string(look_up.encode())
    return drop
