"""The journal of a load over HTTP: nothing noted is lost by a kill, and of a torn file a beginning is left."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loader.errors import JobBusyError, LoaderError, UsageError
from loader.sinks.base import Delivery
from loader.sinks.journal import Journal
from loader.sources.batch import RawBatch
from loader.sources.validate import validate
from loader.tasks.reasons import Reason, ReasonCode

MANIFEST: dict[str, Any] = {"batch_size": 3, "tasks": {}, "sources": []}
OTHER: dict[str, Any] = {"batch_size": 4, "tasks": {}, "sources": []}
PLACES = [(shard, queue) for shard in (0, 1) for queue in ("q.default", "ünï:'q'")]

REASONS = st.builds(Reason, st.sampled_from(ReasonCode), st.text(st.characters(exclude_categories=["Cs"])))

Key = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Note:
    """One call of a journal: ``sent``, ``withdrawn`` or ``acknowledged``."""

    name: str
    key: Key
    refused: dict[int, Reason] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a journal says: batches that are acknowledged, with what was refused of them; those in doubt; ids."""

    acknowledged: dict[Key, tuple[int, dict[int, Reason]]]
    doubtful: set[Key]
    ids: list[tuple[str, list[str]]]


def delivery(key: Key, refused: dict[int, Reason] | None = None) -> Delivery:
    shard, queue, number = key
    raw = RawBatch(3 * number, 0, [b"%d" % (n + number) for n in range(3)])
    batch = validate(raw, number, 0, parsed=False, shard=shard)
    ids = [f"{shard}-{number}-{n}".encode() for n in range(3)]
    return Delivery(batch, queue, b"", ids, batch.payloads, range(3), None, refused or {})


def tell(journal: Journal, note: Note) -> None:
    getattr(journal, note.name)(delivery(note.key, note.refused))


def expected(notes: Iterable[Note]) -> Seen:
    """The oracle: what these notes come to."""
    seen = Seen({}, set(), [])
    for note in notes:
        if note.name == "sent":
            seen.doubtful.add(note.key)
        else:
            seen.doubtful.discard(note.key)
        if note.name == "acknowledged":
            made = delivery(note.key)
            seen.acknowledged[note.key] = (made.batch.checksum, note.refused)
            seen.ids.append((note.key[1], [i.decode() for n, i in enumerate(made.ids) if n not in note.refused]))
    return seen


def opened(path: Path, *, keep_ids: bool = True) -> Journal:
    return Journal(path, "j", MANIFEST, keep_ids=keep_ids)


def seen(path: Path) -> Seen:
    """What a resume reads."""
    with opened(path) as journal:
        acknowledged = {}
        for shard, queue in PLACES:
            state = asyncio.run(journal.state(queue, shard))
            for number in range(8 * len(state.batches)):
                if state.is_loaded(number):
                    acknowledged[shard, queue, number] = (state.checksum(number), state.skipped.get(number, {}))
        doubtful = {(*place, n) for place in PLACES for n in range(40) if journal.was_in_doubt(delivery((*place, n)))}
        assert journal.unsettled == len(doubtful)
        return Seen(acknowledged, doubtful, list(journal.ids()))


def left_by_a_kill(folder: Path) -> Path:
    """A copy of a journal's files as the operating system has them now."""
    copy = folder.parent / f"{folder.name}-killed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    return copy


@st.composite
def histories(draw: st.DrawFn) -> list[Note]:
    """Notes in an order in which a sink makes them."""
    notes, under_way = list[Note](), list[Key]()
    numbers = {place: count() for place in PLACES}
    for _ in range(draw(st.integers(0, 30))):
        if draw(st.booleans()) and under_way:
            key = under_way.pop(draw(st.integers(0, len(under_way) - 1)))
            refused = draw(st.dictionaries(st.integers(0, 2), REASONS))
            name = draw(st.sampled_from(["acknowledged", "acknowledged", "withdrawn"]))
            notes.append(Note(name, key, refused if name == "acknowledged" else {}))
        else:
            place = draw(st.sampled_from(PLACES))
            under_way.append((*place, next(numbers[place])))
            notes.append(Note("sent", under_way[-1]))
    return notes


@settings(max_examples=40)
@given(histories(), st.booleans())
def test_a_journal_says_what_was_noted_after_a_kill_at_any_point_and_after_a_clean_end(
    notes: Sequence[Note], clean: bool
) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "first")
        folder.mkdir()
        half = len(notes) // 2
        with opened(folder / "j") as journal:
            assert not journal.resumed
            for note in notes[:half]:
                tell(journal, note)
            killed = left_by_a_kill(folder)
        with opened((folder if clean else killed) / "j") as journal:
            assert journal.resumed
            for note in notes[half:]:
                tell(journal, note)
            again = left_by_a_kill(folder if clean else killed)

        assert seen(again / "j") == expected(notes)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Note]]:
    """A journal whose writer was killed before the disk was made sure of, and the notes in it."""
    folder = tmp_path_factory.mktemp("journal")
    notes = [Note(name, (0, "q.default", number)) for number in range(12) for name in ("sent", "acknowledged")]
    with opened(folder / "j") as journal:
        journal._sync()
        for note in notes:
            tell(journal, note)
        return left_by_a_kill(folder), notes


def a_beginning_of(notes: Sequence[Note], journal: Path) -> bool:
    found = seen(journal)
    return any(found == expected(notes[:n]) for n in range(len(notes) + 1))


@settings(max_examples=40)
@given(at=st.integers(0, 200_000))
def test_of_a_log_that_is_cut_off_anywhere_a_beginning_is_left(killed: tuple[Path, list[Note]], at: int) -> None:
    """A power failure may lose the end of what the disk was not made sure of."""
    folder, notes = killed
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copytree(folder, Path(temporary, "copy"))
        whole = (copy / "j-wal").read_bytes()
        (copy / "j-wal").write_bytes(whole[: at % len(whole)])

        assert a_beginning_of(notes, copy / "j")


@settings(max_examples=40)
@given(sector=st.integers(0, 10_000))
def test_of_a_log_with_a_hole_a_beginning_is_left(killed: tuple[Path, list[Note]], sector: int) -> None:
    """A power failure may also lose a piece from the middle: file systems write in any order."""
    folder, notes = killed
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copytree(folder, Path(temporary, "copy"))
        whole = bytearray((copy / "j-wal").read_bytes())
        at = 512 * (sector % (len(whole) // 512))
        whole[at : at + 512] = bytes(512)
        (copy / "j-wal").write_bytes(whole)

        assert a_beginning_of(notes, copy / "j")


def test_a_kill_between_the_steps_that_make_a_journal_leaves_a_new_one(tmp_path: Path) -> None:
    for statements in ("PRAGMA page_size = 1024; PRAGMA application_id = 1381059148; PRAGMA user_version = 1;", ""):
        with closing(sqlite3.connect(tmp_path / "j")) as db:
            db.executescript(statements)
        with opened(tmp_path / "j") as journal:
            assert not journal.resumed
        (tmp_path / "j").unlink()


def test_a_code_that_only_a_later_version_knows_keeps_its_text(tmp_path: Path) -> None:
    key = (0, "q.default", 0)
    with opened(tmp_path / "j") as journal:
        tell(journal, Note("sent", key))
        tell(journal, Note("acknowledged", key, {1: Reason(ReasonCode.UNKNOWN_QUEUE, "why")}))
    with closing(sqlite3.connect(tmp_path / "j")) as db, db:
        db.execute("UPDATE batches SET refused = replace(refused, 'unknown_queue', 'known_later')")

    _, refused = seen(tmp_path / "j").acknowledged[key]

    assert refused == {1: Reason(ReasonCode.UNKNOWN, "why")}


def test_a_second_one_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "j") as journal:
        tell(journal, Note("sent", (0, "q.default", 0)))
        with pytest.raises(JobBusyError, match="job j is being loaded by another process"), opened(tmp_path / "j"):
            pass
        tell(journal, Note("acknowledged", (0, "q.default", 0)))
    assert list(seen(tmp_path / "j").acknowledged) == [(0, "q.default", 0)]


def test_the_recorded_manifest_is_given_and_another_changes_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "j") as journal:
        assert journal.recorded is None
        tell(journal, Note("sent", (0, "q.default", 0)))
    with Journal(tmp_path / "j", "j", OTHER, keep_ids=True) as journal:
        assert journal.recorded == MANIFEST
    assert seen(tmp_path / "j").doubtful == {(0, "q.default", 0)}


def test_ends_of_the_input_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "j") as journal:
        for record in (7, 3, 7):
            asyncio.run(journal.note_end(0, record))
    with opened(tmp_path / "j") as journal:
        assert journal.ends() == {0: [3, 7]}


def test_a_journal_of_an_earlier_version_has_no_ends(tmp_path: Path) -> None:
    with opened(tmp_path / "j"):
        pass
    with closing(sqlite3.connect(tmp_path / "j")) as db, db:
        db.execute("DROP TABLE ends")
    with opened(tmp_path / "j") as journal:
        assert journal.ends() == {}
        asyncio.run(journal.note_end(1, 2))
        assert journal.ends() == {1: [2]}


def test_ids_that_were_kept_are_kept_on(tmp_path: Path) -> None:
    for number, keep in enumerate((True, False)):
        with opened(tmp_path / "j", keep_ids=keep) as journal:
            for name in ("sent", "acknowledged"):
                tell(journal, Note(name, (0, "q.default", number)))
    assert [ids for _, ids in seen(tmp_path / "j").ids] == [["0-0-0", "0-0-1", "0-0-2"], ["0-1-0", "0-1-1", "0-1-2"]]


def test_a_journal_of_an_earlier_or_a_later_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    earlier = b'{"journal":1,"job":"j","ids":false,"manifest":{}}\n{"sent":[0,"q.default",0]}\n'
    (tmp_path / "earlier").write_bytes(earlier)
    with opened(tmp_path / "later"):
        pass
    with closing(sqlite3.connect(tmp_path / "later")) as db:
        db.execute("PRAGMA user_version = 2")
    later = (tmp_path / "later").read_bytes()

    for name, content in (("earlier", earlier), ("later", later)):
        with pytest.raises(UsageError, match=f"was written by an? {name} version"), opened(tmp_path / name):
            pass
        assert (tmp_path / name).read_bytes() == content


def test_another_database_is_left_as_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "j")) as db:
        db.executescript("CREATE TABLE precious (a); INSERT INTO precious VALUES (1)")
    content = (tmp_path / "j").read_bytes()

    with pytest.raises(UsageError, match="is not a journal of runqy-loader"), opened(tmp_path / "j"):
        pass

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"j": content}


def test_a_name_that_means_something_to_sqlite_is_a_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(Path(":memory:")) as journal:
        tell(journal, Note("sent", (0, "q.default", 0)))
    assert seen(Path(":memory:")).doubtful == {(0, "q.default", 0)}


@pytest.mark.parametrize("place", ["", "no/such/directory"])
def test_a_file_that_cannot_be_opened_is_one_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(LoaderError, match=r"the journal .* cannot be written: "), opened(tmp_path / place):
        pass


def test_the_disk_is_made_sure_of_and_the_log_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loader.sinks.journal._SYNC_SECONDS", 0.0)
    with opened(tmp_path / "j") as journal:
        for number in range(50):
            for name in ("sent", "acknowledged"):
                tell(journal, Note(name, (0, "q.default", number)))
            journal.settle()
        assert (tmp_path / "j-wal").stat().st_size < 10_000
        (tmp_path / "alone").write_bytes((tmp_path / "j").read_bytes())
    assert len(seen(tmp_path / "alone").acknowledged) == 50, "all of it is in the database itself"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "j"], "a clean end leaves one file"
