#!/bin/sh
# CPython 3.11.7: lzma stops in silence at the padding that the xz format allows between streams.
#
# Guess: lzma.decompress and lzma.open read what xz(1) reads, or raise an error. Their documentation promises several
# streams.
# Seen: after four zeros (xz-file-format, 2.2 "Stream Padding") the second stream is missing, and so is what follows any
# other bytes; bz2.decompress does the same.
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
if seen != [b"one\n"] * 4:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
