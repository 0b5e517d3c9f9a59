"""Loads payloads that a program makes. Run: python examples/load_from_python.py [REDIS_URL]"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import runqy_loader


async def prompts(count: int) -> AsyncIterator[dict[str, Any]]:
    """Payloads from anywhere: a database cursor, an API, a generator."""
    for number in range(count):
        yield {"prompt": f"Generate image {number}", "steps": 20}


async def main(redis: str) -> None:
    # One call. A job name makes it safe to run again: what is in is not loaded twice.
    report = await runqy_loader.load(prompts(10_000), queue="inference", redis=redis, job="prompts-2026-11")
    print(f"{report.loaded} loaded, {report.already_loaded} were in already")

    # Several loads over one set of options; bytes are JSON text and reach Redis as they are.
    async with runqy_loader.Loader(queue="inference.high", redis=redis, max_retry=5) as high:
        try:
            report = await high.load([b'{"prompt": "first"}', b'{"prompt":'])
        except runqy_loader.LoaderError as error:  # what was loaded stays, and the same call goes on from there
            sys.exit(f"{error}")
        print(f"{report.loaded} loaded, {report.rejected} rejected: see {report.rejects_file}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "embedded"))
