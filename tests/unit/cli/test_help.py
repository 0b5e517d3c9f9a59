"""What ``--help`` shows, and that it waits for nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from loader.cli.commands import COMMANDS, command
from loader.settings.option import declared
from tests.cli import environment, run


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)], ids=" ".join)
def test_the_first_page_names_each_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, cwd=tmp_path, env={"COLUMNS": "120"})

    assert (done.status, done.stderr) == (0, "")
    for name, summary in COMMANDS.items():
        assert f" {name} " in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_each_of_its_options(tmp_path: Path, name: str) -> None:
    done = run(name, "--help", cwd=tmp_path, env={"COLUMNS": "100"})

    assert (done.status, done.stderr) == (0, "")
    for kind in command(name).options:
        for one in declared(kind):
            assert f" {one.flag} " in done.stdout
            assert one.option.help.split()[0] in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "unused"),
    [
        (("--help",), "redis"),
        (("load", "--help"), "redis"),
        (("load",), "rich.console"),
        (("--help",), "loader.cli.load"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_is_not_needed_is_not_imported(arguments: tuple[str, ...], unused: str) -> None:
    code = (
        "import sys, atexit\n"
        "from loader.cli import main\n"
        f"atexit.register(lambda: print({unused!r} in sys.modules, file=sys.stderr))\n"
        "main()\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.stderr.splitlines()[-1] == "False"


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_the_completion_script_of_a_shell_goes_to_standard_output(tmp_path: Path, shell: str) -> None:
    done = run("completion", shell, cwd=tmp_path)

    assert (done.status, done.stderr) == (0, "")
    assert f"_RUNQY_LOADER_COMPLETE={shell}_complete" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("runqy-loader lo", ["load"]),
        ("runqy-loader load --batch", ["--batch-size"]),
        ("runqy-loader load --layout ", ["auto", "documented", "asynq"]),
        ("runqy-loader load --processes a", ["auto"]),
    ],
)
def test_a_shell_is_offered_what_may_follow(tmp_path: Path, line: str, offered: list[str]) -> None:
    words = line.split(" ")
    variables = {"_RUNQY_LOADER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}

    done = run(cwd=tmp_path, env=variables)

    assert done.stdout.splitlines() == [f"plain,{word}" for word in offered]


@pytest.mark.parametrize("line", ["runqy-loader load da", "runqy-loader load x.jsonl --rejects da"])
def test_a_shell_is_told_to_complete_paths_where_one_may_stand(tmp_path: Path, line: str) -> None:
    words = line.split(" ")
    variables = {"_RUNQY_LOADER_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}

    assert run(cwd=tmp_path, env=variables).stdout == "file,da\n"
