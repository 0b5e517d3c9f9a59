"""What a small load waits for before its first byte: only what it needs."""

from __future__ import annotations

import subprocess
import sys

from tests.cli import environment
from tests.integration.tool import Tool

UNUSED = ("redis", "tenacity", "rich", "rich_click", "simdjson", "msgspec", "aiohttp", "yaml")


def test_a_plain_load_imports_nothing_that_only_other_runs_need(tool: Tool) -> None:
    path = tool.write("ten.jsonl", "".join(f'{{"n":{number}}}\n' for number in range(10)))
    code = (
        "import atexit, sys\n"
        "from loader.cli import main\n"
        f"atexit.register(lambda: print(*[name for name in {UNUSED!r} if name in sys.modules]))\n"
        "main()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "load", path, "--queue", "inference", "--redis", tool.url],
        env=environment(),
        cwd=tool.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
