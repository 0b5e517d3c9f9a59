"""Which tasks a queue holds, while others push and take: nothing is locked, and nothing written."""

from __future__ import annotations

from collections.abc import AsyncIterator

from loader.layouts.lua import as_sent
from loader.servers.session import Session
from loader.stored.queue_reader import StoredQueue, stored_queue
from loader.wire.resp import command

CHUNK = 2000
"""Ids read at a time: some 80 KB, and under a millisecond of the server's time."""

_LANDMARKS = 16

# LPOS walks the list from its head, so this is for the rare chunk only: where the list was not found as it was left.
BEHIND = b"""\
-- What stands in a list behind the first of some ids that is still there.
-- KEYS[1]: the list
-- ARGV[1]: how many to read at most
-- ARGV[2] and on: ids to look for
-- Reply: index of the first id read, and the ids; -1 and none where none of those looked for is there
for i = 2, #ARGV do
  local at = redis.call('LPOS', KEYS[1], ARGV[i])
  if at then return {at + 1, redis.call('LRANGE', KEYS[1], at + 1, at + ARGV[1])} end
end
return {-1, {}}
"""


async def pending_ids(session: Session, queue: StoredQueue) -> AsyncIterator[list[bytes]]:
    """The ids of the pending list, the newest first.

    Every task that is in the list from the beginning to the end of this is named once. What is pushed or taken
    meanwhile may be named.
    """
    # From the head, where producers push. So a push moves what is unread away from us: chunks would overlap, and do so
    # by one id at least, which tells by how much. Consumers take at the far end, which moves nothing. Only where ids
    # are removed in between does something come nearer; then the last id read is not where it was.
    key = queue.pending_key
    where = f"key {key.decode(errors='replace')}"
    at, read = 0, list[bytes]()  # the index of the first id not yet read, and the last ones read
    while True:
        start, stop = max(at - 1, 0), at + CHUNK
        (ids,) = await session.call(command(b"LRANGE", key, b"%d" % start, b"%d" % (stop - 1)), 1, where)
        more = len(ids) == stop - start
        if read:
            if read[-1] in ids:
                place = ids.index(read[-1]) + 1
                at, ids = start + place, ids[place:]
            else:
                landmarks = read[:: -max(1, len(read) // _LANDMARKS)]
                find = command(b"EVAL", as_sent(BEHIND), b"1", key, b"%d" % CHUNK, *landmarks)
                ((at, ids),) = await session.call(find, 1, where)
                more = len(ids) == CHUNK
                known = set(read)
                unread = [task_id for task_id in ids if task_id not in known]
                at, ids = at + len(ids) - len(unread), unread
        if ids:
            yield ids
            at, read = at + len(ids), [*read, *ids][-CHUNK:]
        if not more:
            return


async def keyed_ids(session: Session, queue: StoredQueue) -> AsyncIterator[list[bytes]]:
    """The ids of all task keys that may be the queue's, whether a list names them or not; some more than once."""
    cursor = b"0"
    while True:
        commands = command(b"SCAN", cursor, b"MATCH", queue.pattern, b"COUNT", b"%d" % CHUNK)
        ((cursor, keys),) = await session.call(commands, 1, "SCAN")
        yield [queue.id_of(key) for key in keys]
        if cursor == b"0":
            return


async def in_the_other_layout(session: Session, queue: StoredQueue) -> int:
    """How many tasks are pending under the same name in the other layout: for a hint where none are in this one."""
    other = stored_queue("asynq" if queue.layout == "documented" else "documented", queue.name)
    (found,) = await session.values(command(b"LLEN", other.pending_key), 1)
    return found if isinstance(found, int) else 0
