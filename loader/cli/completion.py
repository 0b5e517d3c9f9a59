"""``runqy-loader completion``."""

from __future__ import annotations

import sys

from loader.cli.commands import Command

_SHELLS = ("bash", "fish", "zsh")


def completion(shell: str | None) -> int:
    """Prints the script that makes a shell complete commands, options and paths of runqy-loader.

    No file is changed. To keep the script, write it where the shell looks for completions, such as
    ~/.local/share/bash-completion/completions/runqy-loader for bash, ~/.config/fish/completions/runqy-loader.fish for
    fish, and a file _runqy-loader in a directory of $fpath for zsh. To remove it, delete that file.
    """
    from click.shell_completion import get_completion_class

    from loader.cli.app import PROGRAM, app
    from loader.errors import UsageError

    completion_class = None if shell is None else get_completion_class(shell)
    if completion_class is None:
        raise UsageError("no shell given", f"Write runqy-loader completion {'|'.join(_SHELLS)}")
    sys.stdout.write(completion_class(app(), {}, PROGRAM, "_RUNQY_LOADER_COMPLETE").source())
    return 0


COMMAND = Command(
    run=completion,
    options=(),
    argument="Which shell.",
    argument_name="shell",
    choices=_SHELLS,
    usage="|".join(_SHELLS),
    exit_status="Exit status: 0 printed; 2 usage.",
)
