"""Lists the tasks of a queue while others push and take tasks. Nothing is locked, and nothing is written."""

from __future__ import annotations

from collections.abc import AsyncIterator

from loader.layouts.lua import as_sent
from loader.servers.question import ask, ask_script
from loader.servers.scan import scan_all
from loader.servers.session import Session
from loader.stored.queue_reader import StoredQueue, stored_queue

CHUNK = 2000
"""Ids read at a time: about 80 KB, and less than a millisecond of the server's time."""

_LANDMARKS = 16

# For when the last id read is no longer where it was. LPOS searches from the head of the list, so this is only for the
# rare chunk that needs it.
BEHIND = b"""\
-- Finds the first of the given ids that is still in a list, and returns the ids behind it.
-- KEYS[1]: the list
-- ARGV[1]: the maximum number of ids to read
-- ARGV[2] and on: the ids to look for
-- Reply: the index of the first id read, and the ids; -1 and no ids if none of the given ids is in the list
for i = 2, #ARGV do
  local at = redis.call('LPOS', KEYS[1], ARGV[i])
  if at then return {at + 1, redis.call('LRANGE', KEYS[1], at + 1, at + ARGV[1])} end
end
return {-1, {}}
"""


async def pending_ids(session: Session, queue: StoredQueue) -> AsyncIterator[list[bytes]]:
    """The ids of the pending list, the newest first.

    Every task that is in the list for the whole time of the reading is returned once. A task that is pushed or taken
    during the reading may be returned.
    """
    # The list is read from its head, where producers push. A push moves all ids to higher indexes, so a chunk may begin
    # with ids that were read already. Each chunk starts at the old index of the last id read: the new place of that id
    # shows how far the list has moved. Consumers take from the far end, which moves nothing. Only a removal in between
    # moves ids to lower indexes. Then the last id read is not in the chunk.
    key = queue.pending_key
    where = f"key {key.decode(errors='replace')}"
    position, read = 0, list[bytes]()  # the index of the first unread id, and the last ids read
    while True:
        start, stop = max(position - 1, 0), position + CHUNK
        (ids,) = await session.call([ask(b"LRANGE", key, b"%d" % start, b"%d" % (stop - 1))], where)
        more = len(ids) == stop - start
        if read:
            if read[-1] in ids:
                overlap = ids.index(read[-1]) + 1
                position, ids = start + overlap, ids[overlap:]
            else:
                landmarks = read[:: -max(1, len(read) // _LANDMARKS)]
                find = ask_script(as_sent(BEHIND), [key], b"%d" % CHUNK, *landmarks)
                ((position, ids),) = await session.call([find], where)
                more = len(ids) == CHUNK
                known = set(read)
                unread = [task_id for task_id in ids if task_id not in known]
                position, ids = position + len(ids) - len(unread), unread
        if ids:
            yield ids
            position, read = position + len(ids), [*read, *ids][-CHUNK:]
        if not more:
            return


async def keyed_ids(session: Session, queue: StoredQueue) -> AsyncIterator[list[bytes]]:
    """The ids of all task keys that may be the queue's, whether or not a list holds them. Ids may be repeated."""
    await session.reach()
    # In layout documented, the keys are in all slots of a cluster.
    of = queue.pending_key if queue.layout == "asynq" else None
    async for keys in scan_all(session.servers, session.repeat, queue.pattern, of=of, step=CHUNK):
        yield [queue.id_of(key) for key in keys]


async def grouped_ids(session: Session, queue: StoredQueue) -> AsyncIterator[list[bytes]]:
    """The ids of the tasks that wait in groups, in no order. Ids may be repeated. The documented layout has no groups.

    Every task that waits during the whole time of the reading is returned.
    """
    base = queue.pending_key.removesuffix(b"pending")
    (groups,) = await session.call([ask(b"SMEMBERS", base + b"groups")], f"key {base.decode()}groups")
    for group in sorted(groups):
        key, cursor = base + b"g:" + group, b"0"
        while True:
            question = ask(b"ZSCAN", key, cursor, b"COUNT", b"%d" % CHUNK)
            ((cursor, pairs),) = await session.call([question], f"key {key.decode(errors='replace')}")
            if pairs:
                yield pairs[::2]
            if cursor == b"0":
                break


async def count_in_other_layout(session: Session, queue: StoredQueue) -> int:
    """The number of tasks pending in the queue of the same name in the other layout.

    For a hint to the user when this layout has none.
    """
    other = stored_queue("asynq" if queue.layout == "documented" else "documented", queue.name)
    (length,) = await session.values([ask(b"LLEN", other.pending_key)])
    return length if isinstance(length, int) else 0
