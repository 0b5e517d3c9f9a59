"""Deterministic payloads: the n-th payload of a size is the same on every machine and in every run.

They are written as ``json.dumps`` writes them by default, so that a client which parses and writes them again (as the
guide's example does) still leaves the same bytes. Lengths vary by some ten percent around the size that was asked for.
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

_VERSION = 1
_MASK = 2**64 - 1
_FLAT_BELOW = 400
_FLAT_OVERHEAD = 47  # bytes of a small payload besides its prompt
_TEXT = (
    "a watercolour of the lighthouse at dawn with soft light over an old harbour painted in muted colours while two "
    "small boats return from sea and gulls circle above wide angle high detail film grain no people quiet morning"
)
_WORDS = _TEXT.split()


@dataclass(frozen=True, slots=True)
class Content:
    """What a set of payloads is known by: how many, how long, and the sum of their 64-bit hashes.

    Two multisets that agree in all three are the same but for one chance in 2^64. Hashes are Python's (SipHash with a
    key of this process), so a ``Content`` means nothing outside the process that made it.
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


def _even_queues(quarters: int, each: int) -> tuple[str, ...]:
    """Names of queues of which as many lie in each part of a cluster's slots, so that its nodes get equal shares."""
    found: list[list[str]] = [[] for _ in range(quarters)]
    for number in count():
        name = f"bench{number:02d}"
        # Redis Cluster specification, "Key distribution model": CRC16 (XMODEM) of what is in the braces.
        here = found[binascii.crc_hqx(name.encode(), 0) % 16_384 * quarters // 16_384]
        if len(here) < each:
            here.append(name)
        if all(len(names) == each for names in found):
            return tuple(name for names in zip(*found, strict=True) for name in names)
    raise AssertionError


QUEUES = _even_queues(4, 4)


@dataclass(frozen=True, slots=True)
class Form:
    """How a payload is written as a record.

    Attributes:
        name: In file names.
        record: Of a payload and its number.
        payload: What of a record becomes a task's payload.
        more: Bytes that a payload gets besides those of the size asked for.
    """

    name: str
    record: Callable[[bytes, int], bytes]
    payload: Callable[[bytes], bytes] = bytes
    more: int = 0


PLAIN = Form("", lambda payload, number: payload)
WITH_ID = Form("-with-id", lambda payload, number: b'{"id": "task-%010d", %b' % (number, payload[1:]), more=25)
WITH_QUEUE = Form(
    "-with-queue",
    lambda payload, number: b'{"queue": "%b", %b' % (QUEUES[number % len(QUEUES)].encode(), payload[1:]),
    more=20,
)


def _enveloped(name: str, before: Callable[[int], bytes]) -> Form:
    """A payload with an id in an envelope, which is as long before the payload in each record."""
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
"""As ``export`` writes tasks: each with its id and its options."""


@dataclass(slots=True)
class Dataset:
    """A file of JSON lines.

    Attributes:
        size: Nominal bytes a payload.
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
        """What must be in Redis after a load; read from the file at first use."""
        if self._content is None:
            tally = Tally()
            with self.path.open("rb") as file:
                while lines := list(islice(file, 10_000)):
                    tally.add([self.form.payload(line.rstrip(b"\n")) for line in lines])
            self._content = tally.content
        return self._content


def payloads(size: int) -> Iterator[bytes]:
    """Payloads of about ``size`` bytes, without end: small ones are flat, large ones are conversations."""
    rng = random.Random(f"runqy-loader {_VERSION} {size}")
    templates = [_flat(rng, size) if size < _FLAT_BELOW else _conversation(rng, size) for _ in range(997)]
    for number, (head, tail) in zip(count(), cycle(templates), strict=False):
        yield b"%b%d%b" % (head, 1_000_000_000 + number, tail)


def _flat(rng: random.Random, size: int) -> tuple[bytes, bytes]:
    payload = {"prompt": _text(rng, max(8, size - _FLAT_OVERHEAD)), "seed": "#", "steps": rng.randint(20, 50)}
    return _cut(payload)


def _conversation(rng: random.Random, size: int) -> tuple[bytes, bytes]:
    messages: list[dict[str, str]] = []
    while sum(len(message["content"]) + 40 for message in messages) < size - 150:
        role = "assistant" if len(messages) % 2 else "user"
        messages.append({"role": role, "content": f'"{_text(rng, 300)}"\n{_text(rng, 150)}'})
    return _cut({"request": "#", "messages": messages, "temperature": 0.7, "max_tokens": rng.randint(100, 999)})


def _text(rng: random.Random, length: int) -> str:
    """Words, about ``length`` characters."""
    wanted, words, total = round(length * rng.uniform(0.85, 1.15)), list[str](), 0
    while total < wanted:
        words.append(rng.choice(_WORDS))
        total += len(words[-1]) + 1
    return " ".join(words)[:wanted]


def _cut(payload: dict[str, object]) -> tuple[bytes, bytes]:
    head, tail = json.dumps(payload).encode().split(b'"#"')
    return head, tail


def write(
    path: Path, size: int, *, tasks: int | None = None, file_bytes: int | None = None, form: Form = PLAIN
) -> Dataset:
    """Writes a file of so many payloads, or of about so many bytes."""
    source = (form.record(payload, number) for number, payload in enumerate(payloads(size - form.more)))
    tally = Tally()
    with path.open("wb", buffering=1 << 20) as file:
        while tally.tasks != tasks and (file_bytes is None or file.tell() < file_bytes):
            chunk = list(islice(source, 5_000 if tasks is None else min(5_000, tasks - tally.tasks)))
            file.write(b"\n".join(chunk) + b"\n")
            tally.add(list(map(form.payload, chunk)))
    return Dataset(path, size, tally.tasks, form, tally.content)


def dataset(size: int, tasks: int, form: Form = PLAIN) -> Dataset:
    """A file of so many payloads, kept in the system's temporary directory for the next time."""
    folder = Path(tempfile.gettempdir()) / f"runqy-loader-benchmarks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"v{_VERSION}-{size}-bytes-{tasks}{form.name}.jsonl"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.part")
        write(part, size, tasks=tasks, form=form)
        part.replace(path)
    return Dataset(path, size, tasks, form)
