"""Dumps of hashes: a reader that shares no code with the encoder finds the fields again."""

from __future__ import annotations

from collections.abc import Iterator

from loader.layouts.dump import FORMS, Fields, Frame, after, hash_dump
from loader.layouts.form import Form, body
from loader.layouts.listpack import DISPUTED_SIZES, DisputedSizeError
from tests.fuzz.drawn import Pieces, packed, parameters, with_parameters
from tests.unit.dump_reader import read


def seeds() -> Iterator[bytes]:
    values = [
        b"type",
        b"task",
        b"payload",
        b'{"a":1}',
        b"retry",
        b"0",
        b"max_retry",
        b"-4097",
        b"queue",
        b"9223372036854775807",
    ]
    for number in range(6):
        yield with_parameters(packed(values), number)
        yield with_parameters(packed(values[:4]) + b"\x01k\xc8x\x30" + packed([b"-1", b"127"]), number)


def check(data: bytes) -> None:
    random, content = parameters(data)
    pieces = [*Pieces(content).blobs()] or [b""]
    fields = [*zip(pieces[0::2], pieces[1::2], strict=False)] or [(b"name", pieces[0])]
    fields = [(b"%d%b" % (1000 + at, name[:60]), value) for at, (name, value) in enumerate(fields)]  # no name twice
    for name, form in FORMS.items():
        dump = _dump(fields, form)
        disputed = name == "listpack" and any(
            len(body(form, part)) in DISPUTED_SIZES for pair in fields for part in pair
        )
        assert (dump is None) == disputed
        if dump is not None:
            found = read(dump)
            assert list(found.texts.items()) == fields
            assert found.version == int.from_bytes(form.RDB_VERSION, "little")
        at = random.randrange(len(fields))
        if at + 1 < len(fields):
            _frame(form, fields, at, [fields[at][1], random.choice(fields)[1], b"", fields[at][1]])


def _dump(fields: Fields, form: Form) -> bytes | None:
    try:
        return hash_dump(fields, form)
    except DisputedSizeError:
        return None


def _frame(form: Form, fields: Fields, at: int, values: list[bytes]) -> None:
    """Frames around values give the dumps that are made at once."""
    before, (name, _), further = fields[:at], fields[at], fields[at + 1 :]
    expected = [_dump([*before, (name, value), *further], form) for value in values]
    try:
        following = after(form, [part for field in further for part in field])
        frame = Frame(form, before, name, following)
        made = frame.dumps(values, [following.data] * len(values))
    except DisputedSizeError:
        assert None in expected
        return
    assert made == expected
    assert [len(dump) for dump in made] == [frame.dump_bytes(length) for length in map(len, values)] or any(
        form.integer(value) is not None for value in values
    )
