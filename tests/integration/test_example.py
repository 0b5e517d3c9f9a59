"""The example of the README runs as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli import environment
from tests.conftest import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "load_from_python.py"


def test_the_api_example_loads_once_and_sets_the_bad_payload_aside(valkey: Server, tmp_path: Path) -> None:
    def example() -> str:
        command = [sys.executable, str(EXAMPLE), valkey.url]
        return subprocess.run(
            command, cwd=tmp_path, env=environment(), check=True, capture_output=True, text=True
        ).stdout

    first, second = example(), example()

    assert "10000 loaded, 0 were in already" in first
    assert "0 loaded, 10000 were in already" in second
    assert "1 loaded, 1 rejected: see payloads-" in first
    with valkey.client() as client:
        assert client.llen("asynq:inference.default:pending") == 10_000
        assert client.llen("asynq:inference.high:pending") == 2
