"""Members of archives: which are read, in which batches, where their records are, and what is an error."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import json
import logging
import lzma
import zipfile
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from loader.errors import SourceError, SourceFormatError
from loader.sources.base import Place, Source
from loader.sources.codecs.codec import DamagedError
from loader.sources.open_sources import open_sources
from loader.sources.recognition.looks import TAR, ZIP
from tests.unit.sources.archives.test_tar_reader import tar
from tests.unit.sources.codecs.made import MADE, run

Files = list[tuple[str, bytes]]
MIB = 1 << 20

FILES: Files = [
    ("lines.jsonl", b"".join(b'{"n": %d}\n' % n for n in range(2500))),
    ("d/packed.jsonl.gz", gzip.compress(b'{"n": 2500}\n{"n": 2501}\n')),
    ("d/e/one.json", b'{\n "n": 2502\n}\n'),
    ("d/e/other.json.xz", lzma.compress(b'{"n": 2503}')),
    ("README.md", b"words"),
    (".hidden.jsonl", b"{}\n"),
    ("d/.git/x.json", b"{}"),
    ("old.rejects.jsonl", b"{}\n"),
    ("inner.tar", tar([("a.jsonl", b"{}\n")])),
    ("../../out.jsonl", b'{"n": 2504}\n'),
]


def zipped(files: Files, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return file.getvalue()


ARCHIVES: dict[str, Callable[[Files], bytes]] = {
    "in.tar": tar,
    "in.tar.gz": lambda files: gzip.compress(tar(files)),
    "in.tgz": lambda files: gzip.compress(tar(files)),
    "in.tar.zst": lambda files: MADE["zstd"].compress(tar(files)),
    "in.tar.xz": lambda files: lzma.compress(tar(files)),
    "in.tar.bz2": lambda files: bz2.compress(tar(files)),
    "in.tar.lz4": lambda files: MADE["lz4"].compress(tar(files)),
    "in.zip": zipped,
    "stored.zip": lambda files: zipped(files, zipfile.ZIP_STORED),
}
each = pytest.mark.parametrize("name", ARCHIVES)
both = pytest.mark.parametrize("name", ["in.tar", "in.zip"])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(name: str, forced: str | None = None) -> Source:
    (source,) = asyncio.run(open_sources(name, forced))
    return source


def drained(source: Source, batch_size: int = 1000, limit: int = MIB) -> list[list[tuple[bytes, Place]]]:
    """The records of all batches, with their places."""

    async def drain() -> list[list[tuple[bytes, Place]]]:
        found = []
        number = 0
        async with aclosing(source.batches(batch_size, limit)) as batches:
            async for raw in batches:
                assert raw.first_record == number
                number += len(raw.records)
                found.append([(one, await source.place(raw, index)) for index, one in enumerate(raw.records)])
        return found

    return asyncio.run(drain())


@each
def test_members_are_read_in_their_order(folder: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (folder / name).write_bytes(ARCHIVES[name](FILES))
    before = sorted(folder.parent.rglob("*"))

    batches = drained(opened(name))

    records = [record for batch in batches for record, _ in batch]
    assert [json.loads(record)["n"] for record in records] == list(range(2505))
    assert [len(batch) for batch in batches] == [1000, 1000, 505]
    last = [(place.name, place.line, place.byte_offset) for _, place in batches[-1][-6:]]
    assert last == [
        (f"{name}:lines.jsonl", 2500, len(FILES[0][1]) - len(b'{"n": 2499}\n')),
        (f"{name}:d/packed.jsonl.gz", 1, 0),
        (f"{name}:d/packed.jsonl.gz", 2, 12),
        (f"{name}:d/e/one.json", 1, 0),
        (f"{name}:d/e/other.json.xz", 1, 0),
        (f"{name}:../../out.jsonl", 1, 0),
    ]
    assert f"passed over in {name}: 5 files (2 hidden, 1 .md, 1 .tar, 1 rejects)" in caplog.text
    assert sorted(folder.parent.rglob("*")) == before


@both
def test_batches_are_the_same_in_each_run_and_small_members_share_them(folder: Path, name: str) -> None:
    files = [(f"{n}.json", b'{"n": %d}' % n) for n in range(700)] + [("big.json", b'"' + b"x" * MIB + b'"')]
    files += [("l.jsonl", b"1\n" * 450), ("m.jsonl", b"2\n3"), ("n.jsonl", b"4\n"), ("empty.jsonl", b"")]
    (folder / name).write_bytes(ARCHIVES[name](files))
    source = opened(name)

    first, second = (drained(source, 300, 2 * MIB) for _ in range(2))

    assert first == second
    assert [len(batch) for batch in first] == [300, 300, 100, 1, 300, 152, 1]
    assert [record for batch in first for record, _ in batch][-4:] == [b"1", b"2", b"3", b"4"]


@both
def test_a_record_that_is_too_long_is_not_kept(folder: Path, name: str) -> None:
    files = [("a.jsonl", b"1\n" + b"2" * 5000 + b"\n3\n"), ("b.json", b'"' + b"x" * 5000 + b'"'), ("c.jsonl", b"4\n")]
    (folder / name).write_bytes(ARCHIVES[name](files))
    source = opened(name)

    async def only() -> tuple[list[int], dict[int, int]]:
        async with aclosing(source.batches(100, 1000)) as batches:
            (raw,) = [raw async for raw in batches]
        return [len(record) for record in raw.records], raw.oversized

    assert asyncio.run(only()) == ([1, 1000, 1, 1000, 1], {1: 5000, 3: 5002})


@each
def test_an_archive_that_is_cut_off_is_an_error(folder: Path, name: str) -> None:
    stored = ARCHIVES[name](FILES)
    whole = stored if not name.endswith(".tar") else stored[: len(stored.rstrip(b"\0"))]
    (folder / name).write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(SourceError, match=r"ends in the middle|not a whole zip archive"):
        drained(opened(name))


@both
def test_an_archive_without_input_is_an_error(folder: Path, name: str) -> None:
    (folder / name).write_bytes(ARCHIVES[name]([("a.txt", b"1"), ("b.png", b"2")]))
    with pytest.raises(SourceError, match=rf"{name}: no payload file in this archive \(passed over: 2 files \(1 "):
        drained(opened(name))


@both
@pytest.mark.parametrize("content", [b"[\n1,\n2]", b"id,name\n1,a\n2,b\n"], ids=["an array", "CSV"])
def test_a_member_that_is_not_what_its_name_says_is_an_error_after_those_before_it(
    folder: Path, name: str, content: bytes
) -> None:
    (folder / name).write_bytes(ARCHIVES[name]([("a.jsonl", b"1\n" * 10), ("b.jsonl", content)]))
    with pytest.raises(SourceFormatError, match=rf"^{name}:b\.jsonl looks like .*Take it out of the archive"):
        drained(opened(name), 10)


@both
@pytest.mark.parametrize("member", ["b.csv", "d/b.csv.gz", "b.parquet"])
def test_a_table_is_not_left_out_unseen(folder: Path, name: str, member: str) -> None:
    (folder / name).write_bytes(ARCHIVES[name]([("a.jsonl", b"1\n"), (member, b"id\n1\n")]))
    with pytest.raises(
        SourceFormatError, match=rf"^{name}:{member} is .*, which is not read in an archive.*Take it out"
    ):
        drained(opened(name))


@both
def test_a_damaged_member_is_told_by_its_name(folder: Path, name: str) -> None:
    damaged = bytearray(gzip.compress(b"1\n" * 100))
    damaged[-5] ^= 1
    (folder / name).write_bytes(ARCHIVES[name]([("a.jsonl.gz", bytes(damaged))]))
    with pytest.raises(DamagedError, match=rf"^{name}:a\.jsonl\.gz is a damaged gzip file"):
        drained(opened(name))


def test_a_zip_member_with_a_wrong_checksum_is_an_error(folder: Path) -> None:
    stored = bytearray(zipped([("a.jsonl", b"1234567\n")], zipfile.ZIP_STORED))
    stored[stored.index(b"1234567")] ^= 1
    (folder / "in.zip").write_bytes(stored)
    with pytest.raises(DamagedError, match=r"^in\.zip:a\.jsonl is damaged \(Bad CRC-32"):
        drained(opened("in.zip"))


def test_what_is_before_a_damaged_zip_member_is_read(folder: Path) -> None:
    stored = bytearray(zipped([("a.jsonl", b"1\n" * 2500), ("b.jsonl", b"7654321\n")], zipfile.ZIP_STORED))
    stored[stored.index(b"7654321")] ^= 1
    (folder / "in.zip").write_bytes(stored)

    source, found = opened("in.zip"), list[bytes]()

    async def drain() -> None:
        async with aclosing(source.batches(1000, MIB)) as batches:
            async for raw in batches:
                found.extend(raw.records)

    with pytest.raises(DamagedError, match=r"^in\.zip:b\.jsonl is damaged"):
        asyncio.run(drain())
    assert found == [b"1"] * 2000  # the complete batches


@pytest.mark.parametrize(
    ("offset", "value"),
    [(46, 0xFF), (8, 0x20), (8, 0x40)],
    ids=["a name that is not UTF-8", "patched data", "strong encryption"],
)
def test_a_zip_that_zipfile_has_another_error_for_is_damaged(folder: Path, offset: int, value: int) -> None:
    stored = bytearray(zipped([("é.jsonl", b"1\n")], zipfile.ZIP_STORED))
    stored[stored.index(b"PK\1\2") + offset] |= value  # in the central directory
    (folder / "in.zip").write_bytes(stored)
    with pytest.raises(DamagedError, match=r"^in\.zip"):
        drained(opened("in.zip"))


@both
def test_an_empty_compressed_member_is_damage_so_its_archive_can_be_skipped(folder: Path, name: str) -> None:
    (folder / name).write_bytes(ARCHIVES[name]([("a.jsonl", b"1\n"), ("b.jsonl.gz", b"")]))
    with pytest.raises(DamagedError, match=rf"^{name}:b\.jsonl\.gz is empty"):
        drained(opened(name))


@both
def test_how_far_an_archive_expands_is_not_known(folder: Path, name: str) -> None:
    (folder / name).write_bytes(ARCHIVES[name]([("a.jsonl.gz", gzip.compress(b"1\n"))]))
    assert opened(name).expansion is None


def test_an_encrypted_zip_member_is_an_error_if_it_is_input(folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(b"1\n")
    (folder / "a.png").write_bytes(b"1\n")
    run("zip", "-q", "-P", "secret", "in.zip", "a.jsonl", given=b"")
    run("zip", "-q", "-P", "secret", "other.zip", "a.png", given=b"")
    run("zip", "-q", "other.zip", "a.jsonl", given=b"")
    with pytest.raises(DamagedError, match=r"^in\.zip:a\.jsonl is encrypted\. Take it out"):
        drained(opened("in.zip"))
    assert [len(batch) for batch in drained(opened("other.zip"))] == [1]


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_zip_are_an_error(folder: Path, method: int) -> None:
    (folder / "in.zip").write_bytes(zipped([("a.jsonl", b"1\n" * 100)], method))
    with pytest.raises(DamagedError, match=rf"in\.zip:a\.jsonl is compressed by method {method}"):
        drained(opened("in.zip"))


def test_links_in_archives_are_passed_over(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    (folder / "a.jsonl").write_bytes(b"1\n")
    (folder / "b.jsonl").symlink_to("/etc/passwd")
    run("zip", "-qy", "in.zip", "a.jsonl", "b.jsonl", given=b"")
    run("tar", "-cf", "in.tar", "a.jsonl", "b.jsonl", given=b"")
    for name in ("in.zip", "in.tar"):
        assert [[record for record, _ in batch] for batch in drained(opened(name))] == [[b"1"]]
        assert f"passed over in {name}: 1 file (1 link)" in caplog.text


def test_an_archive_under_another_name_is_told_and_read_with_its_format(folder: Path) -> None:
    for name, make in (("tar", tar), ("zip", zipped)):
        (folder / "backup.jsonl").write_bytes(make([("a.jsonl", b"1\n")]))
        with pytest.raises(SourceFormatError, match=f"looks like a {name} archive.*Give --format {name}"):
            opened("backup.jsonl")
        assert [[record for record, _ in batch] for batch in drained(opened("backup.jsonl", name))] == [[b"1"]]


def test_a_file_that_is_no_archive_is_refused(folder: Path) -> None:
    for name in ("in.tar", "in.zip", "in.tar.gz"):
        (folder / name).write_bytes(gzip.compress(b"1\n" * 9) if name.endswith("gz") else b"1\n" * 9)
        with pytest.raises(SourceFormatError, match="looks like JSON lines"):
            opened(name)


def test_with_a_format_the_archives_of_a_directory_are_passed_over(folder: Path) -> None:
    (folder / "d").mkdir()
    (folder / "d/a.jsonl").write_bytes(b"1\n")
    (folder / "d/b.zip").write_bytes(zipped([("x.jsonl", b"2\n")]))

    def names(forced: str | None, argument: str) -> list[str]:
        return [source.identity.name for source in asyncio.run(open_sources(argument, forced))]

    for argument in ("d", "d/*"):
        assert names(None, argument) == ["d/a.jsonl", "d/b.zip"]
        assert names("jsonl", argument) == ["d/a.jsonl"]
        assert names("zip", argument) == ["d/b.zip"]


def test_an_archive_in_a_pipe_is_told_with_what_reads_it() -> None:
    assert TAR.hint("jsonl", None, None) == "run: PROGRAM | tar -xOf - | runqy-loader load - …"
    assert ZIP.hint("jsonl", None, None) == "save it as a file, and load that"
    assert TAR.hint("jsonl", "a b", MADE["zstd"].codec).endswith("zstd -dc 'a b' | tar -xOf - | runqy-loader load - …")
