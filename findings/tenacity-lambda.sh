#!/bin/sh
# tenacity 9.2.1: AsyncRetrying does not retry a plain function that returns a coroutine, such as a lambda.
#
# Guess: `await AsyncRetrying(...)(lambda: step())` awaits what the lambda returns, and calls it again when that fails.
# Seen: it gives the coroutine back as its result, not awaited, after one call; whoever awaits that gets the first failure.
# A coroutine function, a partial of one, and an object with an async __call__ are retried: tenacity looks at the callable
# beforehand, not at what it returns.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check tenacity==9.2.1

"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import functools
import inspect
import sys
from importlib.metadata import version

import tenacity

calls = 0


async def step():
    """Fails twice, and then succeeds."""
    global calls
    calls += 1
    if calls < 3:
        raise ConnectionError("not yet")
    return "done"


class Step:
    async def __call__(self):
        return await step()


async def tried(call):
    global calls
    calls = 0
    result = await tenacity.AsyncRetrying(stop=tenacity.stop_after_attempt(5), reraise=True)(call)
    if not inspect.iscoroutine(result):
        return f"{result!r} after {calls} calls"
    try:
        await result
    except ConnectionError as error:
        return f"a coroutine; awaited, it fails with {error!r} after {calls} call"
    return "a coroutine; awaited, it succeeds"


print(f"tenacity {version('tenacity')}")
seen = {}
kinds = {"coroutine function": step, "partial": functools.partial(step), "object": Step(), "lambda": lambda: step()}
for kind, call in kinds.items():
    seen[kind] = asyncio.run(tried(call))
    print(f"  {kind:20} {seen[kind]}")

retried = "'done' after 3 calls"
once = "a coroutine; awaited, it fails with ConnectionError('not yet') after 1 call"
if seen != {"coroutine function": retried, "partial": retried, "object": retried, "lambda": once}:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
