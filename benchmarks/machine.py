"""The machine on which the figures were measured."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT
from loader.machine import describe_machine, output_of

_PACKAGES = ("runqy-loader", "hiredis", "orjson", "pysimdjson", "uvloop", "aiofiles")


def describe(servers: Mapping[str, dict[str, str]], transport: str) -> dict[str, Any]:
    """CPU, memory, system, and the versions of all programs that take part.

    Args:
        servers: The fields of INFO of each server, by the server's name.
        transport: tcp or unix.
    """
    machine = describe_machine()
    python = machine.pop("python")
    described = {name: _server(info) for name, info in servers.items()}
    return {
        **machine,
        "server": server_text(described.values(), transport),
        "servers": described,
        "transport": transport,
        "commit": _commit(),
        "versions": {
            "python": python,
            **{name: _installed(name) for name in _PACKAGES},
            "redis-py": importlib.metadata.version("redis"),
            "redis-cli": _version(output_of("redis-cli", "--version")),
            "go": _version(output_of("go", "version")),
            **{module.split("/")[1]: _go_module(module) for module in ("redis/go-redis", "redis/rueidis")},
            "node": _version(output_of("node", "--version")),
            **{package.split("/")[-1]: version for package, version in _node_packages().items()},
        },
    }


def headline(machine: dict[str, object]) -> str:
    """One line about the machine, for plots."""
    virtual = "VM with " if machine["virtual"] == "yes" else ""
    servers, _, transport = str(machine["server"]).rsplit(", ", maxsplit=2)
    names = " and ".join(version(server) for server in servers.split("; "))
    return f"{virtual}{machine['cores']} cores of {machine['cpu']}, {names} on the same machine ({transport})"


def server_text(described: Iterable[str], transport: str) -> str:
    """Some servers of ``describe``, and how they were run."""
    return f"{'; '.join(described)}, no persistence, {transport}"


def version(described: str) -> str:
    """``redis 8.2.3``: the kind of a server and its version, from its description."""
    return described.split(",", maxsplit=1)[0]


def _commit() -> str:
    """The commit, and whether there are changes beside the pages that a run before has written."""
    git = ("git", "-C", str(ROOT))
    changed = output_of(*git, "status", "--porcelain", "--", ".", ":!docs/benchmarks")
    return output_of(*git, "describe", "--always", "--abbrev=10") + ("-dirty" if changed else "")


def _server(info: dict[str, str]) -> str:
    kind = "valkey" if "valkey_version" in info else "redis"
    return f"{kind} {info[f'{kind}_version']}, {info['mem_allocator']}"


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"  # pysimdjson has no wheel for the newest Python


def _go_module(name: str) -> str:
    match = re.search(rf"{name}(?:/v\d+)? v(\S+)", _read(ROOT / "benchmarks/peers/go/go.mod"))
    return match[1] if match else ""


def _node_packages() -> dict[str, str]:
    packages: dict[str, str] = json.loads(_read(ROOT / "benchmarks/peers/node/package.json"))["dependencies"]
    return packages


def _version(text: str) -> str:
    match = re.search(r"\d+(\.\d+)+", text)
    return match[0] if match else ""


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
