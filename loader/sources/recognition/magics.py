"""The first bytes of files that are not JSON: one row for each kind.

The rows are from the specifications of the formats and from the database of file(1). No JSON text begins with any of
them. A library for this was not taken: see docs/decisions/0012-recognition.md.
"""

from __future__ import annotations

from typing import NamedTuple

from loader.sources.codecs.lz4 import LEGACY, LZ4
from loader.sources.codecs.registry import CODECS
from loader.sources.codecs.skippable import SKIPPABLE
from loader.sources.codecs.zstd import ZSTD
from loader.sources.recognition.looks import ARROW, PARQUET, TAR, UTF_16, UTF_32, ZIP, Look, packed


class Magic(NamedTuple):
    """Bytes at an offset, and what a file is that has them."""

    offset: int
    starts: tuple[bytes, ...]
    look: Look


def _packed(name: str, command: str) -> Look:
    return packed(f"{name}-compressed data", command)


def _archive(title: str, command: str) -> Look:
    return Look(title, (), "", command, keeps_text=True)


def _of_file(title: str, command: str) -> Look:
    return Look(title, (), "", command)


def _told(title: str, advice: str = "convert it to JSON lines first") -> Look:
    return Look(title, (), advice)


MAGICS: tuple[Magic, ...] = (
    # Encodings. UTF-32 comes first, because its mark begins like that of UTF-16.
    Magic(0, (b"\xff\xfe\0\0", b"\0\0\xfe\xff"), UTF_32),
    Magic(0, (b"\xff\xfe", b"\xfe\xff"), UTF_16),
    # Compressions. Those that the loader reads by itself are only seen here within another one.
    *(Magic(0, (codec.magic,), _packed(codec.name, codec.command)) for codec in CODECS.values()),
    Magic(0, SKIPPABLE, _packed(ZSTD.name, ZSTD.command)),
    Magic(0, (LEGACY,), _packed(LZ4.name, LZ4.command)),
    Magic(0, (b"LZIP",), _packed("lzip", "lzip -dc")),
    Magic(0, (b"\x89LZO\0",), _packed("lzop", "lzop -dc")),
    Magic(0, (b"\x5d\0\0",), _packed("lzma", "xz --format=lzma -dc")),
    Magic(0, (b"\x1f\x9d",), _packed(".Z", "gzip -dc")),
    # Archives.
    Magic(257, (b"ustar",), TAR),
    Magic(0, (b"PK\3\4", b"PK\5\6", b"PK\7\x08"), ZIP),
    Magic(0, (b"7z\xbc\xaf\x27\x1c",), _archive("a 7z archive", "7z x -so {file}")),
    Magic(0, (b"Rar!\x1a\x07",), _archive("a RAR archive", "unrar p -inul {file}")),
    # Data.
    Magic(0, (b"PAR1",), PARQUET),
    Magic(0, (b"PARE",), _told("Parquet with an encrypted footer")),
    Magic(0, (b"Obj\1",), _of_file("Avro", "avro-tools tojson {file}")),
    Magic(0, (b"ORC",), _told("ORC", "write it as Parquet")),
    Magic(0, (b"ARROW1\0\0", b"\xff\xff\xff\xff"), ARROW),
    Magic(0, (b"FEA1",), _told("Feather version 1", "write it again, as Arrow (Feather version 2)")),
    Magic(
        0,
        (b"SQLite format 3\0",),
        _of_file("an SQLite database", "sqlite3 -json {file} 'SELECT * FROM TABLE' | jq -c '.[]'"),
    ),
    Magic(0, (b"\x89HDF\r\n\x1a\n",), _told("HDF5")),
    Magic(0, (b"\x93NUMPY",), _told("a NumPy array")),
    Magic(
        0,
        (b"REDIS0", b"VALKEY"),
        _told("a dump of a Redis server (RDB)", "start a server with it, then use runqy-loader migrate or export"),
    ),
    Magic(0, (b"PGDMP",), _told("a dump of PostgreSQL")),
    # Documents, pictures, programs.
    Magic(0, (b"%PDF-",), _told("PDF")),
    Magic(0, (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",), _told("an Office document")),
    Magic(0, (b"\x89PNG\r\n\x1a\n",), _told("a PNG picture")),
    Magic(0, (b"\xff\xd8\xff",), _told("a JPEG picture")),
    Magic(0, (b"GIF8",), _told("a GIF picture")),
    Magic(0, (b"\x7fELF",), _told("a program")),
    Magic(0, (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe"), _told("a program")),
)
"""Rows are tried in this order."""


def look_of_magic(head: bytes) -> Look | None:
    """What a file is that begins with these bytes; None if no row has them."""
    for offset, starts, look in MAGICS:
        if head.startswith(starts, offset):
            return look
    return None
