"""tar archives: Python's tarfile, of archives that it writes itself, damaged or not, however they are chunked."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from loader.sources.codecs.codec import DamagedError
from tests.fuzz.drawn import Pieces, chunks, packed, parameters, with_parameters
from tests.unit.sources.archives.test_tar_reader import FORMS, read, tar

Found = list[tuple[str, bytes]]


def seeds() -> Iterator[bytes]:
    for number in range(12):
        yield with_parameters(packed([b"name" * number, b"content" * number, b"d/e.jsonl", b"1\n"]), number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    pieces = Pieces(content)
    files: Found = []
    while pieces and len(files) < 6:
        name, inside = pieces.text().replace("\0", "0").strip("/") or "a", pieces.blob()
        files.append((name, inside))
    archive = tar(files, random.choice([form for form in FORMS if form != tarfile.USTAR_FORMAT]))
    is_whole = bool(random.randrange(2))
    if not is_whole:
        at = random.randrange(len(archive))
        changed = bytes([archive[at] ^ random.randrange(1, 256)]) if random.randrange(2) else b""
        archive = archive[:at] + (changed + archive[at + 1 :] if changed else b"")

    got = _outcome([archive])

    assert _outcome(chunks(archive, random)) == got
    if is_whole:
        assert got == files or not files
    if got is not None:  # tarfile may end before, but never reads other members
        assert got[: len(expected := _reference(archive))] == expected or is_whole


def _outcome(parts: list[bytes]) -> Found | None:
    """The files; None for an archive that is refused."""
    try:
        return [(member.path, content) for member, content in read(parts) if member.what == "file"]
    except DamagedError:
        return None


def _reference(archive: bytes) -> Found:
    found: Found = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
            for member in opened:
                if member.isreg() and not member.issparse() and (file := opened.extractfile(member)) is not None:
                    found.append((member.name, file.read()))
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError):
        pass
    return found
