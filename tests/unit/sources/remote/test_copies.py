"""Copies of remote files: where they find no place."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[4]

WITHOUT_A_FOLDER = """
    import asyncio, resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no folder takes a byte, as on full disks
    from loader.sources.remote.prepare import Preparation
    from loader.sources.remote.spool import Spool
    from tests.unit.sources.remote.objects import Bucket

    with Spool() as spool:
        preparation = Preparation(spool, given=False, force=False)
        (problem,) = asyncio.run(preparation.of([Bucket({"a": (b"1", None)}).file("a")]))
        print(problem.what)
        print(problem.hint)
"""


def test_where_no_folder_for_temporary_files_is_usable_that_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(WITHOUT_A_FOLDER)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": "/none/such"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    what, hint = done.stdout.splitlines()
    assert what.startswith("cannot be copied to /none/such: No usable temporary directory")
    assert "TMPDIR names another folder" in hint
