#!/bin/sh
# CPython 3.11.7: tarfile takes a member's damaged header for the end of the archive.
#
# Guess: an archive with a damaged header is an error, as it is for tar(1).
# Seen: if it is not the first one, iteration ends there in silence; the members after it are missing. The same holds
# for an archive that is cut between two members.
set -eu

python3 - <<'PYTHON'
import io
import sys
import tarfile

file = io.BytesIO()
with tarfile.open(fileobj=file, mode="w") as archive:
    for name in ("one", "two", "three"):
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"data"))
damaged = bytearray(file.getvalue())
damaged[1024 + 5] ^= 1  # in the name of the second member: its checksum is wrong
cut = file.getvalue()[:1024]
seen = []
for label, data in (("damaged", bytes(damaged)), ("cut", cut)):
    for mode in ("r:", "r|"):
        with tarfile.open(fileobj=io.BytesIO(data), mode=mode) as archive:
            seen.append(archive.getnames())
        print(sys.version.split()[0], label, mode, seen[-1])
if seen != [["one"]] * 4:
    print("The behaviour has changed.")
    sys.exit(1)
PYTHON
