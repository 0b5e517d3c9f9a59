"""A compression that only the tests know: that it works shows that a new one needs no other module."""

from __future__ import annotations

from collections.abc import Iterator

from loader.sources.codecs.codec import Codec, DamagedError

_MAGIC = b"\xf0TOY"
_KEY = 0x5A
_END = 0xFF ^ _KEY


class _ToyDecompressor:
    """The magic, then the content and 0xff, which is in no UTF-8, with each byte XORed with 0x5a."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._skipped = 0
        self._ended = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        header, body = chunk[: len(_MAGIC) - self._skipped], chunk[len(_MAGIC) - self._skipped :]
        if header != _MAGIC[self._skipped : self._skipped + len(header)]:
            raise DamagedError(f"{self._name} is not a toy file")
        self._skipped += len(header)
        if self._ended and body:
            raise DamagedError(f"{self._name} goes on after its end")
        self._ended = body.endswith(bytes([_END])) or self._ended
        yield bytes(byte ^ _KEY for byte in body if byte != _END)

    def finish(self) -> None:
        if not self._ended:
            raise DamagedError(f"{self._name} ends in the middle of its toy stream")


def compress(content: bytes) -> bytes:
    return _MAGIC + bytes(byte ^ _KEY for byte in content) + bytes([_END])


TOY = Codec("toy", (".toy", ".toys"), _MAGIC, _ToyDecompressor)
