"""Reads a tar stream piece by piece (POSIX.1-2017, "pax Interchange Format"; GNU tar's manual, "Basic Tar Format").

No I/O. Python's tarfile is not used: it takes a damaged header for the end of the archive
(findings/tarfile-damaged-header.sh), and reads extended headers of any size into memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from loader.sources.archives.member import Member
from loader.sources.codecs.codec import DamagedError

_BLOCK = 512
_MOST_META = 1024 * 1024
"""Bytes of a header that extends another. Linux allows paths of 4096 bytes."""
_CHECKSUM = slice(148, 156)
_REGULAR = b"0\0" + b"7"
_META = b"xgLK"
_LINKS = b"12"
_FOLDER = b"5"
_GNU_SPARSE = b"S"
_SPARSE_GOES_ON, _MAP_GOES_ON = 482, 504
"""Where the header of a sparse file, and a block after it, say that another block of its map follows."""
_OCTAL = b"01234567"
_MOST_DIGITS = 20
"""Digits of a number that is told in full: 64 bits."""


class TarReader:
    """Yields the members of a tar stream, each followed by the pieces of its content.

    Archives that follow each other are read as one.

    Args:
        name: The archive's name, for errors.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._held = b""
        self._left = 0  # bytes of the member's content that are still to come
        self._skip = 0  # bytes to leave out
        self._is_extended = False  # whether a block with more of a sparse file's map follows
        self._is_content = False
        self._meta = b""  # the type of the header that is being read
        self._meta_left = 0
        self._parts: list[bytes] = []
        self._local: dict[str, bytes] = {}
        self._global: dict[str, bytes] = {}
        self._any = False
        self._zero_blocks = 0

    def feed(self, data: bytes) -> Iterator[Member | bytes]:
        """Adds the next bytes.

        Raises:
            DamagedError: This is not a tar archive, or it is damaged.
        """
        if self._held:
            data, self._held = self._held + data, b""
        at = 0
        while at < len(data):
            if self._is_extended:
                block = data[at : at + _BLOCK]
                if len(block) < _BLOCK:
                    self._held = block
                    return
                self._is_extended = block[_MAP_GOES_ON] != 0
                at += _BLOCK
            elif self._left or self._meta_left:
                at, piece = self._body(data, at)
                if piece:
                    yield piece
            elif self._skip:
                step = min(self._skip, len(data) - at)
                self._skip -= step
                at += step
            elif self._meta:
                self._end_meta()
            elif len(data) - at < _BLOCK:
                self._held = data[at:]
                return
            else:
                member = self._header(data[at : at + _BLOCK])
                at += _BLOCK
                if member is not None:
                    yield member

    def finish(self) -> None:
        """Ends the stream.

        Raises:
            DamagedError: It ends too early. An archive ends with two blocks of zeros; one is enough here.
        """
        if self._held or self._left or self._skip or self._meta or self._is_extended or not self._zero_blocks:
            raise DamagedError(
                f"{self._name} ends in the middle of its tar archive", "It is truncated: get a complete copy"
            )

    def _body(self, data: bytes, at: int) -> tuple[int, bytes]:
        """Reads on in a member's content, or in a header that extends another."""
        if self._meta_left:
            part = data[at : at + self._meta_left]
            self._parts.append(part)
            self._meta_left -= len(part)
            return at + len(part), b""
        end = min(len(data), at + self._left)
        self._left -= end - at
        return end, data[at:end] if self._is_content else b""

    def _header(self, block: bytes) -> Member | None:
        if not block.strip(b"\0"):
            self._zero_blocks += 1
            return None
        if not _is_sound(block):
            what = "is a damaged tar archive (a header has a wrong checksum)" if self._any else "is not a tar archive"
            raise self._damaged(what)
        self._any, self._zero_blocks = True, 0
        kind, size = block[156:157], self._number(block[124:136])
        if kind in _META:
            if size > _MOST_META:
                raise self._damaged(f"is a damaged tar archive (a header of {size} bytes)")
            self._meta, self._meta_left, self._skip = kind, size, -size % _BLOCK
            return None
        fields = self._global | self._local
        self._local = {}
        if "size" in fields:
            size = self._decimal(fields["size"], "the size of a member")
        path = fields.get("path") or _path(block)
        what = _what(kind, fields)
        # Links and devices have no content, whatever their size is.
        self._left = 0 if what in ("link", "special file") else size
        self._skip = -self._left % _BLOCK
        self._is_content = what == "file"
        self._is_extended = kind == _GNU_SPARSE and block[_SPARSE_GOES_ON] != 0
        return Member(path.decode(errors="surrogateescape"), what)

    def _number(self, field: bytes) -> int:
        if field[0] & 0x80:  # GNU: base 256
            return int.from_bytes(field, "big") & ((1 << 95) - 1)
        text = field.strip(b"\0 ")
        if text.strip(_OCTAL):  # int() takes signs and underscores as well
            raise self._damaged("is a damaged tar archive (the size of a member)")
        return int(text or b"0", 8)

    def _decimal(self, text: bytes, what: str) -> int:
        if not text.isdigit() or len(text) > _MOST_DIGITS:
            raise self._damaged(f"is a damaged tar archive ({what})")
        return int(text)

    def _end_meta(self) -> None:
        kind, text = self._meta, b"".join(self._parts)
        self._meta, self._parts = b"", []
        if kind == b"L":
            self._local["path"] = text.partition(b"\0")[0]
        elif kind != b"K":  # the target of a link
            (self._local if kind == b"x" else self._global).update(self._records(text))

    def _records(self, text: bytes) -> dict[str, bytes]:
        """The fields of a pax header: each a line ``LENGTH NAME=VALUE`` whose length includes itself."""
        found: dict[str, bytes] = {}
        while text:
            digits, _, _ = text.partition(b" ")
            length = self._decimal(digits, "an extended header")
            if not len(digits) < length <= len(text):
                raise self._damaged("is a damaged tar archive (an extended header)")
            name, _, value = text[len(digits) + 1 : length - 1].partition(b"=")
            found[name.decode(errors="replace")] = value
            text = text[length:]
        return found

    def _damaged(self, what: str) -> DamagedError:
        hint = "Get it again; all complete batches before the damage are loaded"
        return DamagedError(f"{self._name} {what}", hint if self._any else "Give its --format")


def _is_sound(block: bytes) -> bool:
    """Whether the checksum of a header is right: the sum of its bytes, with spaces for the checksum itself.

    Some old programs summed signed bytes.
    """
    text = block[_CHECKSUM].strip(b"\0 ")
    if not text or text.strip(_OCTAL):
        return False
    rest = block[: _CHECKSUM.start] + b" " * 8 + block[_CHECKSUM.stop :]
    unsigned = sum(rest)
    return int(text, 8) in (unsigned, unsigned - 256 * sum(byte > 127 for byte in rest))


def _path(block: bytes) -> bytes:
    name, prefix = (block[part].partition(b"\0")[0] for part in (slice(0, 100), slice(345, 500)))
    is_posix = block[257:263] == b"ustar\0"  # GNU's own format has other fields in the place of the prefix
    return prefix + b"/" + name if is_posix and prefix else name


def _what(kind: bytes, fields: dict[str, bytes]) -> str:
    if kind == _GNU_SPARSE or any(name.startswith("GNU.sparse.") for name in fields):
        return "sparse file"
    if kind in _REGULAR:
        return "file"
    if kind == _FOLDER:
        return "folder"
    return "link" if kind in _LINKS else "special file"
