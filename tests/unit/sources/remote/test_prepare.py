"""Which remote files are pinned and which are copied, also where a listing is older than its objects."""

from __future__ import annotations

import asyncio

import pytest

from loader.sources.format import InputFile
from loader.sources.problems import Problem, Problems
from loader.sources.recognition.peek import without_bad_files
from loader.sources.remote.prepare import Preparation
from loader.sources.remote.site import NOT_ASKED, State
from loader.sources.remote.spool import Spool
from tests.unit.sources.remote.objects import Bucket

CONTENT = b'{"n":1}\n'
OLD = State(len(CONTENT), '"old"')


def prepared(file: InputFile, spool: Spool) -> InputFile | Problem:
    (found,) = asyncio.run(Preparation(spool, given=False, force=False).of([file]))
    return found


@pytest.mark.parametrize("form", ["jsonl", "zip"])
@pytest.mark.parametrize("etag", ['"new"', None])
@pytest.mark.parametrize("listed", [NOT_ASKED, OLD, State(len(CONTENT), '"new"')])
def test_only_what_is_pinned_and_read_from_its_beginning_is_not_copied(
    form: str, etag: str | None, listed: State
) -> None:
    bucket = Bucket({"a": (CONTENT, etag)})
    with Spool() as spool:
        found = prepared(bucket.file("a", form, listed), spool)
        assert isinstance(found, InputFile)
        if form == "jsonl" and etag is not None:
            assert found.remote is not None
            assert (found.path, found.remote.state) == (None, State(len(CONTENT), etag))
        else:
            assert found.path is not None
            assert (found.remote, found.path.read_bytes()) == (None, CONTENT)


def test_an_object_that_is_no_more_when_it_is_asked_for_again_is_told() -> None:
    class Deleted(Bucket):
        async def state(self, key: str) -> State | None:
            return None

    with Spool() as spool:
        found = prepared(Deleted({"a": (CONTENT, '"new"')}).file("a", state=OLD), spool)
    assert isinstance(found, Problem)
    assert found.what == "there is no such object"


@pytest.mark.parametrize("etag", ['"1"', None])
@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"LZIP\1", "Save it as FILE first, and run: lzip -dc FILE | runqy-loader load - …; --force"),
        (b"Obj\1", "Save it as FILE first, and run: avro-tools tojson FILE | runqy-loader load - …; --force"),
        (
            b'{\n"n": 1\n}\n',
            "Give --format json (it is one task), or save it as FILE first, and run: jq -c . FILE | runqy-loader load "
            "- …; --force",
        ),
        (b"a,b\n1,2\n", "Give --format csv; --force"),
    ],
)
def test_advice_about_what_is_at_a_url_has_commands_that_can_run(etag: str | None, content: bytes, hint: str) -> None:
    with Spool() as spool:
        found = prepared(Bucket({"a": (content, etag)}).file("a"), spool)
        if isinstance(found, InputFile):  # a copy
            problems = Problems(skip=True)
            assert without_bad_files([found], problems, given=False, force=False) == []
            (found,) = problems.skipped
    assert found.hint.startswith(hint)
