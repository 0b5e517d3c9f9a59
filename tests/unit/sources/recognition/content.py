"""Content of each kind, made by the libraries and programs that users have it from."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import shutil
import sqlite3
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import pytest

LINES = b"".join(b'{"n": %d, "name": "caf\xc3\xa9"}\n' % number for number in range(100))
DOCUMENT = json.dumps({"a": [1, 2, {"b": None}], "c": "d\n"}, indent=2).encode()
ARRAY = b'[\n{"a":1},\n{"a":2},\n{"a":3}\n]'
DOCUMENTS = b"\n".join(json.dumps({"n": number, "b": [number]}, indent=2).encode() for number in range(2000))
"""As jq writes them."""


def tar(content: bytes = LINES, form: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        member = tarfile.TarInfo("in.jsonl")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def zipped(content: bytes = LINES) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in.jsonl", content)
    return file.getvalue()


def sqlite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "db"
        connection = sqlite3.connect(path)
        connection.execute("create table tasks (payload text)")
        connection.commit()
        connection.close()
        return path.read_bytes()


def made_by(program: str, *arguments: str) -> bytes:
    """What a program writes that compresses its standard input; skips the test if it is not installed."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return subprocess.run([program, *arguments], input=LINES, capture_output=True, check=True, timeout=60).stdout


COMPRESSED = {
    "lzma": lambda: lzma.compress(LINES, lzma.FORMAT_ALONE),
    "lz4": lambda: made_by("lz4", "-lc"),  # its legacy format
    "xz": lambda: lzma.compress(LINES),
    "bzip2": lambda: bz2.compress(LINES),
    "zstd": lambda: made_by("zstd", "-c"),
}
"""By the names in messages."""

UNREAD = ("lzma", "lz4")
"""Those that are not read; the others are not within another compression."""

ARCHIVES = {
    "a tar archive": tar,
    "a zip archive": zipped,
    # No program of the suite writes these: the beginnings are from the formats' descriptions.
    "a 7z archive": lambda: b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(24),
    "a RAR archive": lambda: b"Rar!\x1a\x07\x01\x00" + bytes(24),
}

DATA = {
    "an SQLite database": sqlite,
    "Parquet": lambda: b"PAR1\x15\x04\x15\x10\x15\x14" + LINES + b"PAR1",
    "Avro": lambda: b"Obj\x01\x04\x14avro.codec\x08null\x16avro.schema",
    "ORC": lambda: b"ORC\x0a\x0b\x0a\x03",
    "Arrow (Feather)": lambda: b"ARROW1\0\0" + struct.pack("<i", -1),
    "PDF": lambda: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "a dump of a Redis server (RDB)": lambda: b"REDIS0011\xfa\x09redis-ver",
    "binary data": lambda: zlib.compress(LINES),
}

ENCODINGS = {
    "UTF-16": "utf-16",
    "UTF-16LE": "utf-16-le",
    "UTF-16BE": "utf-16-be",
    "UTF-32": "utf-32",
    "UTF-32LE": "utf-32-le",
    "UTF-32BE": "utf-32-be",
}
"""Python's names, by the names in messages."""

TEXT = {
    "CSV": b"id,name\n1,a\n2,b\n",
    "CSV with semicolons": b'id;name\n1;"a;b"\n2;b\n',
    "TSV": b"id\tpayload\n1\t{}\n2\t[]\n",
    "lines that end with CR alone": LINES.replace(b"\n", b"\r"),
    "an HTML page": b"\r\n<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>",
    "XML": b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>',
    "YAML": b"---\na: 1\nb: 2\n",
    "text in Latin-1 or Windows-1252": LINES.decode().encode("latin-1"),
}

DOUBLE_GZIP = gzip.compress(gzip.compress(LINES, mtime=0), mtime=0)
