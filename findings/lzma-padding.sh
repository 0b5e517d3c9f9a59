#!/bin/sh
# CPython: lzma.decompress stops in silence at the padding that the xz format allows between streams.
#
# Guess: it reads what xz(1) and lzma.open read, or raises an error. Its documentation promises several streams.
# Seen: after four zeros (xz-file-format, 2.2 "Stream Padding") the second stream is missing, and so it is after any
# other bytes; bz2.decompress does the same. lzma.open reads both streams.
set -eu

python3 - <<'PYTHON'
import bz2
import io
import lzma
import sys

padding = bytes(4)
stream = lzma.compress(b"one\n") + padding + lzma.compress(b"two\n")
seen = [
    lzma.decompress(stream),
    lzma.open(io.BytesIO(stream)).read(),
    lzma.decompress(lzma.compress(b"one\n") + b"junk"),
    bz2.decompress(bz2.compress(b"one\n") + padding + bz2.compress(b"two\n")),
]
print(sys.version.split()[0], *seen, sep="\n")
if seen != [b"one\n", b"one\ntwo\n", b"one\n", b"one\n"]:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
