"""Deterministic payloads: the n-th payload of a size is the same on every machine and in every run.

They are written as ``json.dumps`` writes them by default. So a client that parses them and writes them again, like the
guide's example, still leaves the same bytes. Lengths vary by about ten percent around the requested size.
"""

from __future__ import annotations

import binascii
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count, cycle, islice
from pathlib import Path

import orjson

_VERSION = 1
_MASK = 2**64 - 1
_FLAT_BELOW = 400
_FLAT_OVERHEAD = 47  # bytes of a small payload without its prompt
_TEXT = (
    "a watercolour of the lighthouse at dawn with soft light over an old harbour painted in muted colours while two "
    "small boats return from sea and gulls circle above wide angle high detail film grain no people quiet morning"
)
_WORDS = _TEXT.split()


@dataclass(frozen=True, slots=True)
class Content:
    """Identifies a multiset of payloads: their number, their bytes, and the sum of their 64-bit hashes.

    If two multisets agree in all three, they are the same, except for one chance in 2^64. The hashes are Python's
    (SipHash with a key of this process), so a ``Content`` means nothing outside the process that made it.
    """

    tasks: int
    payload_bytes: int
    hash_sum: int


@dataclass(slots=True)
class Tally:
    """Adds up a ``Content``."""

    tasks: int = 0
    payload_bytes: int = 0
    hash_sum: int = 0

    def add(self, payloads: list[bytes]) -> None:
        self.tasks += len(payloads)
        self.payload_bytes += sum(map(len, payloads))
        self.hash_sum = (self.hash_sum + sum(map(hash, payloads))) & _MASK

    @property
    def content(self) -> Content:
        return Content(self.tasks, self.payload_bytes, self.hash_sum)


def _even_queues(parts: int, each: int) -> tuple[str, ...]:
    """Names of queues. Each part of a cluster's slots has ``each`` of them, so that its nodes get equal shares."""
    by_part: list[list[str]] = [[] for _ in range(parts)]
    for number in count():
        name = f"bench{number:02d}"
        # Redis Cluster specification, "Key distribution model": CRC16 (XMODEM) of what is in the braces.
        in_part = by_part[binascii.crc_hqx(name.encode(), 0) % 16_384 * parts // 16_384]
        if len(in_part) < each:
            in_part.append(name)
        if all(len(names) == each for names in by_part):
            return tuple(name for names in zip(*by_part, strict=True) for name in names)
    raise AssertionError


QUEUES = _even_queues(4, 4)


@dataclass(frozen=True, slots=True)
class Form:
    """How a payload is written as a record.

    Attributes:
        name: Its part of file names.
        record: Makes the record of a payload and its number.
        payload: Extracts the task's payload from a record.
        more: Bytes that the form adds to a payload.
    """

    name: str
    record: Callable[[bytes, int], bytes]
    payload: Callable[[bytes], bytes] = bytes
    more: int = 0


PLAIN = Form("", lambda payload, number: payload)
TEXTS = Form(
    "-texts",
    lambda payload, number: orjson.dumps({name: str(value) for name, value in orjson.loads(payload).items()}),
)
"""Values that are all text, as those of CSV are, without spaces. Payloads must be flat."""

WITH_ID = Form("-with-id", lambda payload, number: b'{"id": "task-%010d", %b' % (number, payload[1:]), more=25)
WITH_QUEUE = Form(
    "-with-queue",
    lambda payload, number: b'{"queue": "%b", %b' % (QUEUES[number % len(QUEUES)].encode(), payload[1:]),
    more=20,
)


def _enveloped(name: str, before: Callable[[int], bytes]) -> Form:
    """A payload with an id, in an envelope. In all records, the part before the payload has the same length."""
    width = len(before(0))
    return Form(
        f"-with-id-in-{name}",
        lambda payload, number: before(number) + WITH_ID.record(payload, number) + b"}",
        payload=lambda record: record[width:-1],
        more=WITH_ID.more,
    )


ENVELOPE = _enveloped("envelope", lambda number: b'{"payload": ')
EXPORTED = _enveloped(
    "exported-envelope",
    lambda number: b'{"id": "task-%010d", "type": "task", "max_retry": 25, "timeout": 1800, "payload": ' % number,
)
"""Tasks as ``export`` writes them: each with its id and its options."""


@dataclass(slots=True)
class Dataset:
    """A file of JSON lines.

    Attributes:
        size: Nominal bytes of a payload.
    """

    path: Path
    size: int
    tasks: int
    form: Form = PLAIN
    _content: Content | None = field(default=None, repr=False)

    @property
    def file_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def content(self) -> Content:
        """The content that must be in Redis after a load; read from the file at first use."""
        if self._content is None:
            tally = Tally()
            with self.path.open("rb") as file:
                while lines := list(islice(file, 10_000)):
                    tally.add([self.form.payload(line.rstrip(b"\n")) for line in lines])
            self._content = tally.content
        return self._content


def payloads(size: int) -> Iterator[bytes]:
    """An endless sequence of payloads of about ``size`` bytes: small ones are flat, large ones are conversations."""
    rng = random.Random(f"runqy-loader {_VERSION} {size}")
    templates = [_flat(rng, size) if size < _FLAT_BELOW else _conversation(rng, size) for _ in range(997)]
    for number, (head, tail) in zip(count(), cycle(templates), strict=False):
        yield b"%b%d%b" % (head, 1_000_000_000 + number, tail)


def _flat(rng: random.Random, size: int) -> tuple[bytes, bytes]:
    payload = {"prompt": _text(rng, max(8, size - _FLAT_OVERHEAD)), "seed": "#", "steps": rng.randint(20, 50)}
    return _split(payload)


def _conversation(rng: random.Random, size: int) -> tuple[bytes, bytes]:
    messages: list[dict[str, str]] = []
    while sum(len(message["content"]) + 40 for message in messages) < size - 150:
        role = "assistant" if len(messages) % 2 else "user"
        messages.append({"role": role, "content": f'"{_text(rng, 300)}"\n{_text(rng, 150)}'})
    return _split({"request": "#", "messages": messages, "temperature": 0.7, "max_tokens": rng.randint(100, 999)})


def _text(rng: random.Random, length: int) -> str:
    """Words of about ``length`` characters together."""
    wanted, words, total = round(length * rng.uniform(0.85, 1.15)), list[str](), 0
    while total < wanted:
        words.append(rng.choice(_WORDS))
        total += len(words[-1]) + 1
    return " ".join(words)[:wanted]


def _split(payload: dict[str, object]) -> tuple[bytes, bytes]:
    head, tail = json.dumps(payload).encode().split(b'"#"')
    return head, tail


def write(
    path: Path, size: int, *, tasks: int | None = None, file_bytes: int | None = None, form: Form = PLAIN
) -> Dataset:
    """Writes a file of ``tasks`` payloads, or of about ``file_bytes`` bytes."""
    source = (form.record(payload, number) for number, payload in enumerate(payloads(size - form.more)))
    tally = Tally()
    with path.open("wb", buffering=1 << 20) as file:
        while tally.tasks != tasks and (file_bytes is None or file.tell() < file_bytes):
            chunk = list(islice(source, 5_000 if tasks is None else min(5_000, tasks - tally.tasks)))
            file.write(b"\n".join(chunk) + b"\n")
            tally.add(list(map(form.payload, chunk)))
    return Dataset(path, size, tally.tasks, form, tally.content)


def dataset(size: int, tasks: int, form: Form = PLAIN) -> Dataset:
    """A file of ``tasks`` payloads. It is kept in the system's temporary directory for the next run."""
    folder = Path(tempfile.gettempdir()) / f"runqy-loader-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"v{_VERSION}-{size}-bytes-{tasks}{form.name}.jsonl"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        write(part, size, tasks=tasks, form=form)
        part.replace(path)
    return Dataset(path, size, tasks, form)
