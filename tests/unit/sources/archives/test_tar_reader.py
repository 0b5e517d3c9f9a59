"""TarReader: what tar(1) and Python's tarfile write is read, however it is cut, and damage never goes unnoticed."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.archives.member import Member
from loader.sources.archives.tar_reader import TarReader
from loader.sources.codecs.codec import DamagedError
from tests.unit.sources.codecs.made import run
from tests.unit.strategies import chunkings

FORMS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
NAMES = st.text("abé/. [", min_size=1, max_size=150).map(lambda name: name.strip("/") or "a")
FILES = st.lists(st.tuples(NAMES, st.binary(max_size=1500)), max_size=4)
_FAR = 8 * 1024**3  # from this size on, a header needs another way to write it


def tar(files: Iterable[tuple[str, bytes]], form: int = tarfile.GNU_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def read(chunks: Iterable[bytes]) -> list[tuple[Member, bytes]]:
    """The members with their content."""
    reader = TarReader("in.tar")
    found: list[tuple[Member, bytes]] = []
    for chunk in chunks:
        for part in reader.feed(chunk):
            if isinstance(part, Member):
                found.append((part, b""))
            else:
                found[-1] = (found[-1][0], found[-1][1] + part)
    reader.finish()
    return found


@given(st.data(), FILES, st.sampled_from(FORMS))
def test_what_tarfile_writes_is_read_however_it_is_chunked(
    data: st.DataObject, files: list[tuple[str, bytes]], form: int
) -> None:
    if form == tarfile.USTAR_FORMAT:  # it has no way to write longer names
        files = [(name[:90], content) for name, content in files if len(name[:90].encode()) <= 100]
    archive = tar(files, form)
    with tarfile.open(fileobj=io.BytesIO(archive)) as oracle:
        expected = [(one.name, oracle.extractfile(one).read()) for one in oracle if oracle.extractfile(one)]  # type: ignore[union-attr]
    _, chunks = data.draw(chunkings(st.just(archive)))

    found = read(chunks)

    assert [(member.path, content) for member, content in found] == expected
    assert {member.what for member, _ in found} <= {"file"}


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_tar_writes_is_read(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "d"
    (folder / ("f" * 60) / ("g" * 30)).mkdir(parents=True)
    long = folder / ("f" * 60) / ("g" * 30) / "long.jsonl"
    long.write_bytes(b"1\n" * 3000)
    (folder / "a.jsonl").write_bytes(b"2\n")
    (folder / "link.jsonl").symlink_to("/etc/passwd")
    (folder / "hard.jsonl").hardlink_to(folder / "a.jsonl")
    with (folder / "sparse.jsonl").open("wb") as sparse:
        sparse.truncate(1 << 20)
        sparse.seek(1 << 19)
        sparse.write(b"3\n")
    sparse_option = () if form in ("v7", "ustar") else ("-S",)
    names = ["d/a.jsonl", "d/hard.jsonl", "d/link.jsonl", "d/sparse.jsonl", str(long.relative_to(tmp_path))]
    if form in ("v7", "ustar", "oldgnu"):
        names = names[:4] if form == "v7" else names
    archive = run("tar", "-C", str(tmp_path), f"--format={form}", *sparse_option, "-cf", "-", *names, given=b"")

    found = {member.path: (member.what, content) for member, content in read([archive])}

    assert found["d/a.jsonl"] == ("file", b"2\n")
    assert found["d/hard.jsonl"] == found["d/link.jsonl"] == ("link", b"")
    if sparse_option:
        assert any(what == "sparse file" for what, _ in found.values())
    if form != "v7":
        assert found[str(long.relative_to(tmp_path))] == ("file", b"1\n" * 3000)


@pytest.mark.parametrize("form", ["oldgnu", "gnu", "posix"])
def test_what_follows_a_sparse_file_of_many_parts_is_read(tmp_path: Path, form: str) -> None:
    with (tmp_path / "sparse.jsonl").open("wb") as sparse:
        for part in range(50):  # GNU's own map has room for 4 in the header, and for 21 in each block after it
            sparse.seek(part * 65536)
            sparse.write(b"1\n" * 2048)
    (tmp_path / "z.jsonl").write_bytes(b"2\n")
    names = ("sparse.jsonl", "z.jsonl")
    archive = run("tar", "-C", str(tmp_path), f"--format={form}", "-S", "-cf", "-", *names, given=b"")

    for step in (len(archive), 512, 100):
        found = read([archive[at : at + step] for at in range(0, len(archive), step)])
        assert [member.what for member, _ in found] == ["sparse file", "file"]
        assert found[1][1] == b"2\n"
    header_and_map = archive.index(b"1\n1\n") - 700
    with pytest.raises(DamagedError, match="ends in the middle"):
        read([archive[:header_and_map]])


def test_archives_that_follow_each_other_are_one() -> None:
    archive = tar([("a", b"1")]) + tar([("b", b"2")])
    assert [content for _, content in read([archive])] == [b"1", b"2"]


def test_an_archive_that_is_cut_anywhere_is_an_error() -> None:
    archive = tar([("a" * 200, b"1" * 700), ("b", b"2")], tarfile.PAX_FORMAT)
    end = len(archive.rstrip(b"\0"))
    end += -end % 512
    for cut in [*range(0, end + 512, 7), end, end + 511]:
        with pytest.raises(DamagedError, match="ends in the middle"):
            read([archive[:cut]])
    assert len(read([archive[: end + 512]])) == 2


def test_a_damaged_header_is_an_error_where_tarfile_sees_the_end() -> None:
    archive = bytearray(tar([("a", b"1"), ("b", b"2"), ("c", b"3")]))
    archive[1024 + 5] ^= 1
    with tarfile.open(fileobj=io.BytesIO(bytes(archive))) as oracle:
        assert oracle.getnames() == ["a"]
    with pytest.raises(DamagedError, match="damaged tar archive"):
        read([bytes(archive)])


@pytest.mark.parametrize("content", [b"x" * 512, b'{"a": 1}\n' * 100], ids=["text", "JSON lines"])
def test_what_is_no_archive_is_an_error(content: bytes) -> None:
    with pytest.raises(DamagedError, match="is not a tar archive"):
        read([content])
    with pytest.raises(DamagedError, match="damaged"):
        read([tar([("a", b"1")]) + content])


def _with_checksum(header: bytearray) -> bytes:
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def test_a_size_beyond_eight_gib_is_understood_in_both_forms() -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        member = tarfile.TarInfo("a")
        member.size = _FAR + 5
        reader = TarReader("in.tar")
        assert list(reader.feed(member.tobuf(form) + b"12345")) == [Member("a", "file"), b"12345"]
        assert reader._left == _FAR


@pytest.mark.parametrize("size", [b"-0000001000", b"0o000000010", b"1_000000000", b"+0000000010", b"abc"])
def test_a_size_that_is_no_octal_number_is_an_error(size: bytes) -> None:
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[124:136] = size.ljust(12, b"\0")
    with pytest.raises(DamagedError, match="a damaged tar archive"):
        read([_with_checksum(header)])


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
def test_a_header_that_says_to_be_huge_is_not_read_into_memory(kind: bytes) -> None:
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[156:157], header[124:136] = kind, b"%011o\0" % (1 << 30)
    with pytest.raises(DamagedError, match="a header of 1073741824 bytes"):
        read([_with_checksum(header)])


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b"5 a=1\n",
        b"99 path=a\n",
        b"0 a=1\n",
        b"-1 a=1\n",
        b"9 size=a\n",
        b"12 size=-1\n",
        b"5011 size=" + b"1" * 5000 + b"\n",
        b"1" * 5000 + b" a=1\n",
    ],
    ids=lambda text: text[:12].decode(),
)
def test_a_damaged_extended_header_is_an_error(text: bytes) -> None:
    header = bytearray(tarfile.TarInfo("a").tobuf())
    header[156:157], header[124:136] = b"x", b"%011o\0" % len(text)
    following = tarfile.TarInfo("b").tobuf()
    with pytest.raises(DamagedError):
        read([_with_checksum(header) + text.ljust(512, b"\0") + following])


def test_a_long_name_ends_at_its_first_nul_as_tarfile_reads_it() -> None:
    archive = tar([("n" * 200, b"1\n")])
    at = archive.index(b"n" * 200) + 150
    archive = archive[:at] + b"\0" + archive[at + 1 :]
    with tarfile.open(fileobj=io.BytesIO(archive)) as oracle:
        assert oracle.getnames() == ["n" * 150]
    assert [(member.path, content) for member, content in read([archive])] == [("n" * 150, b"1\n")]
