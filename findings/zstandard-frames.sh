#!/bin/sh
# zstandard 0.25.0: most of its ways to decompress stop after the first frame, and take a cut stream for a whole one.
#
# Guess: a file that zstd(1) reads is read whole, and a file that zstd(1) refuses is an error.
# Seen: decompress, decompressobj and read_to_iter give the first frame of two and no error; if a skippable frame comes
# first, as pzstd writes it, decompressobj and read_to_iter give nothing. stream_reader and open read all frames, but of
# a frame that is cut they give what there is, without an error. backports.zstd 1.8.0 does neither.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check zstandard==0.25.0 backports.zstd==1.8.0

"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys

import zstandard
from backports import zstd

one, two = zstd.compress(b"one\n"), zstd.compress(b"two\n")
skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
STREAMS = {"two frames": one + two, "a skippable frame, then one": skippable + one, "a frame that is cut": one[:-2]}


def new():
    return zstandard.ZstdDecompressor()


WAYS = {
    "zstandard.decompress": zstandard.decompress,
    "decompressobj": lambda data: new().decompressobj().decompress(data),
    "read_to_iter": lambda data: b"".join(new().read_to_iter(data)),
    "stream_reader": lambda data: new().stream_reader(io.BytesIO(data)).read(),
    "zstandard.open": lambda data: zstandard.open(io.BytesIO(data)).read(),
    "backports.zstd.decompress": zstd.decompress,
    "backports.zstd.open": lambda data: zstd.open(io.BytesIO(data)).read(),
}
seen = {}
for name, way in WAYS.items():
    for title, data in STREAMS.items():
        try:
            seen[name, title] = way(data)
        except Exception as error:
            seen[name, title] = type(error).__name__
        print(f"{name:26} {title:28} {seen[name, title]!r}")

expected = {
    "zstandard.decompress": [b"one\n", "ZstdError", "ZstdError"],
    "decompressobj": [b"one\n", b"", b"on"],
    "read_to_iter": [b"one\n", b"", b"on"],
    "stream_reader": [b"one\ntwo\n", b"one\n", b"on"],
    "zstandard.open": [b"one\ntwo\n", b"one\n", b"on"],
    "backports.zstd.decompress": [b"one\ntwo\n", b"one\n", "ZstdError"],
    "backports.zstd.open": [b"one\ntwo\n", b"one\n", "EOFError"],
}
if any([seen[name, title] for title in STREAMS] != expected[name] for name in WAYS):
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
