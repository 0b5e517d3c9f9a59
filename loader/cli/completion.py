"""``runqy-loader --install-completion``: cyclopts' own command, in a module of its own as it takes 10 ms to import."""

from __future__ import annotations

from cyclopts.completion.install import create_install_completion_command

from loader.cli.app import app

install_completion = create_install_completion_command(app.install_completion, add_to_startup=True)
