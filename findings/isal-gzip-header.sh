#!/bin/sh
# isal 1.9.1: isal_zlib.decompressobj(31) refuses intact gzip members where a chunk of input ends within their header.
#
# Guess: it gives what zlib.decompressobj(31) gives, wherever the input is cut; its documentation calls it a drop-in
# replacement.
# Seen: a header with a checksum (FHCRC), or with more than one of the fields extra, name and comment, must be in one
# chunk; else IsalError. ISA-L asks for that (https://github.com/intel/isa-l/issues/224), the Python package does not.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check isal==1.9.1

"$folder/venv/bin/python" - <<'PYTHON'
import gzip
import sys
import zlib
from importlib.metadata import version

from isal import ISAL_VERSION, isal_zlib

CONTENT = b'{"n": 1}\n' * 20


def member(flags):
    """A gzip member as RFC 1952, 2.3 describes it."""
    header = b"\x1f\x8b\x08" + bytes([flags]) + b"\0\0\0\0\0\x03"
    header += b"\x07\0AB\x03\0xyz" if flags & 4 else b""
    header += b"a.jsonl\0" if flags & 8 else b""
    header += b"a comment\0" if flags & 16 else b""
    header += (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") if flags & 2 else b""
    return len(header), header + gzip.compress(CONTENT, mtime=0)[10:]


def inflate(module, chunks):
    inflater = module.decompressobj(31)
    return b"".join(map(inflater.decompress, chunks)) + inflater.flush()


print(f"isal {version('isal')}, ISA-L {ISAL_VERSION}")
print("a member's header cut at each of its bytes:")
refused = []
for flags in range(0, 32, 2):
    length, stream = member(flags)
    names = [name for bit, name in ((2, "checksum"), (4, "extra"), (8, "name"), (16, "comment")) if flags & bit]
    assert gzip.decompress(stream) == CONTENT, "the input is valid"
    assert inflate(isal_zlib, [stream]) == CONTENT, "isal reads it in one chunk"
    errors = set()
    for cut in range(1, length):
        chunks = [stream[:cut], stream[cut:]]
        assert inflate(zlib, chunks) == CONTENT, "zlib reads it in two"
        try:
            assert inflate(isal_zlib, chunks) == CONTENT
        except isal_zlib.error as error:
            errors.add(str(error))
    print(f"  {' '.join(names) or 'no field':30} {'; '.join(sorted(errors)) or 'read'}")
    if errors:
        refused.append(flags)

expected = [flags for flags in range(0, 32, 2) if flags & 2 or bin(flags).count("1") > 1]
if refused != expected:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
