"""Writes a load as Redis protocol to standard output, for ``redis-cli --pipe``.

This is the generator from Redis's guide to mass insertion, with commands for tasks.
"""

from __future__ import annotations

import sys
import uuid

from benchmarks.peers.python.arguments import Arguments, batches, parse


def command(*arguments: bytes) -> bytes:
    """One command in the Redis protocol."""
    parts = [b"*%d\r\n" % len(arguments)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"".join(parts)


def main(arguments: Arguments) -> None:
    """Writes the commands of every batch."""
    queue = arguments.queue.encode()
    out = sys.stdout.buffer
    for payloads in batches(arguments.payloads, arguments.batch):
        ids = [str(uuid.uuid4()).encode() for _ in payloads]
        for task_id, payload in zip(ids, payloads, strict=True):
            out.write(
                command(
                    *(b"HSET", b"asynq:t:" + task_id, b"type", b"task", b"payload", payload),
                    *(b"retry", b"0", b"max_retry", b"3", b"queue", queue),
                )
            )
        out.write(command(b"LPUSH", b"asynq:" + queue + b":pending", *ids))
    out.flush()


if __name__ == "__main__":
    main(parse())
