"""Queue files: the names that PyYAML's plainest loader reads, or one of our errors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from loader.errors import UsageError
from loader.queues.runqy_yaml import configured_queues

_FILE = Path(tempfile.mkdtemp(prefix="fuzz-queues-"), "queues.yaml")

_MOST_BRACKETS = 60
"""PyYAML's time grows with the square of their number."""


def seeds() -> Iterator[bytes]:
    yield b"queues:\n  a:\n    priority: 1\n    sub_queues:\n      - name: premium\n        priority: 2\n  b: {}\n"
    yield b'{"queues": {"a": {"sub_queues": [{"name": "b"}, {"name": "on"}]}, "1": null}}'
    yield b"queues: {a: &x {sub_queues: [{name: b}]}, c: *x, d: {<<: *x}}\n"
    yield b"queues:\n  ? |\n    text\n  : !!map {}\n  yes:\n  ~: 1\n"
    yield b"%YAML 1.1\n---\nqueues: {\"\\x41\\u00e9\": 2026-01-01, 'b': !!str c}\n...\n"
    yield b"queues: [a, b]\n"
    yield b"queues: " + b"[" * _MOST_BRACKETS
    yield b'queues: {!!int "x": 1, "\\UFFFFFFFF": 2}'
    yield b'queues: {"\\ud800": {sub_queues: [{name: "\\udfff"}]}}'


def check(data: bytes) -> None:
    if data.count(b"[") + data.count(b"{") > _MOST_BRACKETS:
        return
    _FILE.write_bytes(data)
    try:
        names = configured_queues(_FILE)
    except UsageError as error:
        assert str(error).isprintable(), error
        return
    assert all(isinstance(name, str) and name.encode() for name in names)
    if b"<<" in data or b"!" in data:
        return  # the plainest loader knows no merges, and takes no tag into account
    try:
        content: Any = yaml.load(data, Loader=yaml.BaseLoader)  # noqa: S506 - it makes text, lists and mappings only
    except yaml.constructor.ConstructorError:
        return  # a node that holds itself, which the plainest loader refuses
    expected: set[str] = set()
    for parent, settings in content["queues"].items():
        subs = settings.get("sub_queues") if isinstance(settings, dict) else None
        expected |= (
            {f"{parent}.{sub['name']}" for sub in subs} if isinstance(subs, list) and subs else {f"{parent}.default"}
        )
    assert names == expected
