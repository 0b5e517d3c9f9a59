"""Reads in a thread, one piece ahead of who uses the pieces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import TypeVar

Piece = TypeVar("Piece")
Found = TypeVar("Found")


async def in_thread(work: Callable[[], Found], interrupt: Callable[[], None]) -> Found:
    """What a function returns that is called in a thread.

    Args:
        interrupt: Makes the function end soon, if nobody needs it any more. It is called in a thread, and the end is
            waited for.
    """
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    finally:
        if not running.done():
            await asyncio.to_thread(interrupt)
            await asyncio.wait([running])
            running.exception()


async def read_ahead(
    pieces: Generator[Piece, None, None], interrupt: Callable[[], None] = lambda: None
) -> AsyncGenerator[Piece, None]:
    """What a generator yields that reads a file: none of it may be None. It is closed at the end.

    Args:
        interrupt: Makes the generator end what it waits for, if nobody needs it any more. It is called in a thread.

    Raises:
        Exception: What the generator raises, after all that it has yielded.
    """
    ahead = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
    try:
        while (piece := await asyncio.shield(ahead)) is not None:
            ahead = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
            yield piece
    finally:
        if not ahead.done():
            await asyncio.to_thread(interrupt)
        await asyncio.wait([ahead])  # the thread must have finished before the file is closed
        ahead.exception()
        await asyncio.to_thread(pieces.close)
