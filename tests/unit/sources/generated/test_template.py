"""What a template may be, and what is told of one that cannot be used: one line, with the place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import UsageError
from loader.sources.generated.call import Literal, parse_call
from tests.unit.sources.generated.conftest import Make

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("template", "place", "words"),
    [
        ('{"a": "{{ itn(1, 2) }}"}', "$.a", "itn is no placeholder; did you mean int?"),
        ('{"a": {"b": [1, "{{ int(1, 2, 3) }}"]}}', "$.a.b[1]", "int: too many positional arguments"),
        ('{"a": "{{ int(x=3) }}"}', "$.a", "int: missing a required argument: 'min'"),
        ('{"a": "{{ int(5, 1) }}"}', "$.a", "min must not be above max, not 5 and 1"),
        ('{"a": "{{ int(1.5, 2) }}"}', "$.a", "min and max must be whole numbers"),
        ('{"a": "{{ int(1, "}', "$.a", "a placeholder is not closed"),
        ('{"a": "x {{ int(1, 2) } y"}', "$.a", "a placeholder is not closed"),
        ('{"a": "{{ }}"}', "$.a", "it must be a call such as int(1, 100)"),
        ('{"a": "{{ 1 + 2 }}"}', "$.a", "1 + 2 is neither a call nor a value"),
        ('{"a": "{{ os.system(1) }}"}', "$.a", "os.system(1) is neither a call nor a value"),
        ('{"a": "{{ int(*[1, 2]) }}"}', "$.a", "*[1, 2] is neither a call nor a value"),
        ('{"a": "{{ text(normal(5, 2)) }}"}', "$.a", "values could be below 0: give min=0"),
        ('{"a": "{{ int(uniform(1, y)) }}"}', "$.a", "y stands where the number max must be"),
        ('{"a": "{{ int(gauss(1, 2)) }}"}', "$.a", "gauss is no distribution"),
        ('{"a": "{{ float(0, 1, decimals=99) }}"}', "$.a", "decimals must be between 0 and 15, not 99"),
        ('{"a": "{{ choice(1, 2, weights=[1]) }}"}', "$.a", "there are 1 weights for 2 choices"),
        ('{"a": "{{ choice() }}"}', "$.a", "give the values to choose from"),
        ('{"a": "{{ choice(1e400) }}"}', "$.a", "1e400 is no number that every consumer of JSON reads"),
        ('{"a": 1e400}', "$.a", "1e400 is no number that every consumer of JSON reads"),
        ('{"a": "{{ bool(2) }}"}', "$.a", "p must be between 0 and 1, not 2"),
        ("{\"a\": \"{{ date('x', 'y') }}\"}", "$.a", "must be a date such as '2026-11-28'"),
        ("{\"a\": \"{{ date('2026-02-01', '2026-01-01') }}\"}", "$.a", "the first date is after the last"),
        ('{"a": "{{ int(quantiles(3, 1)) }}"}', "$.a", "quantiles are two or more numbers"),
        ('{"a": "{{ int(normal(5, 2, min=9, max=1)) }}"}', "$.a", "min must be below max, not 9 and 1"),
        ('{"a": "{{ repeat(3) }}"}', "$.a", "repeat(…) is the first element of an array"),
        ('{"a": ["{{ repeat(3) }}"]}', "$.a", "one element follows it, which is repeated; here are 0"),
        ('{"a": ["{{ one_of(1) }}", 1, 2]}', "$.a", "there are 1 weights for 2 choices"),
        ('{"{{ int(1, 2) }} a": 1}', "$", "may begin with optional(…) or null(…), not {{ int(1, 2) }}"),
        ('{"a {{ int(1, 2) }}": 1}', "$", "names of members hold no placeholders"),
        ('{"{{ optional(2) }} a": 1}', "$", "p must be between 0 and 1, not 2"),
        ('{"a": 1, "a": 2}', "$", "two members are called 'a'"),
        ('{"a": "\\ud800"}', "$.a", "the text has a lone surrogate"),
        ('{"a": NaN}', "", "NaN is not JSON"),
        ('{"a": 1; }', "line 1, column 8", "it is not JSON"),
        ("[" * 200 + "]" * 200, "$[0][0]", "nests deeper than 100 levels"),
        ("{\"a\": \"{{ row('no.csv', 'x') }}\"}", "no.csv", "No such file or directory"),
        ("{\"a\": \"{{ row('no.txt', 'x') }}\"}", "$.a", "a data file is CSV or JSON lines"),
    ],
)
def test_a_wrong_template_is_told_in_one_line_with_the_place(
    make: Make, tmp_path: Path, template: str, place: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        make(template)
    message = str(caught.value)
    assert message.startswith(f"template {tmp_path / 'template.json'}: ")
    assert place in message and words in message and "\n" not in message


@given(VALUES)
def test_a_literal_is_the_value_that_python_and_json_write(value: Any) -> None:
    for text in (repr(value), json.dumps(value, ensure_ascii=False)):
        found = parse_call(text, "$")
        assert isinstance(found, Literal)
        assert found.value == value


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: "{{" not in text))
def test_a_document_without_placeholders_stays_as_it_is(text: str) -> None:
    import tempfile

    from loader.sources.generated.generator import Generator

    value = {"a": text, f"x{text}": [1, text, {"%s": None, "%": True}]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.json"
        path.write_text(json.dumps(value))
        (block, *_) = Generator(path, 1).blocks(0, 2)
    assert [json.loads(one) for one in block] == [value, value]


def test_numbers_keep_their_text(make: Make) -> None:
    template = '[1.10, -0, 1E5, 123456789012345678901234567890, "{{ 1.10 }}", "{{ choice(2.50) }}"]'
    assert make(template, 1) == ["[1.10,-0,1E5,123456789012345678901234567890,1.10,2.50]"]


def test_values_within_a_longer_text_are_escaped(make: Make) -> None:
    template = json.dumps({"a": """<{{ choice('"\\\\é') }}{{ choice([1, "x"]) }}{{ null }}{{ 'a b' }}> 100%"""})
    (text,) = make(template, 1)
    assert json.loads(text) == {"a": '<"\\é[1,"x"]nulla b> 100%'}


def test_arrays_in_arrays_and_chances_are_as_frequent_as_they_say(make: Make) -> None:
    template = {
        "{{ optional(0.25) }} note": 1,
        "{{ null(0.1) }} age": 2,
        "{{ optional(0.5) }}{{ null(0.5) }} both": 3,
        "who": ["{{ one_of(3, 1) }}", "me", {}],
        "a": ["{{ repeat(0, 4) }}", ["{{ repeat(2) }}", "{{ sequence }}"]],
    }
    found = [json.loads(text) for text in make(template, 8000)]
    assert sum("note" in one for one in found) == pytest.approx(2000, abs=130)
    assert sum(one["age"] is None for one in found) == pytest.approx(800, abs=90)
    assert sum(one.get("both", 0) is None for one in found) == pytest.approx(2000, abs=130)
    assert sum(one["who"] == {} for one in found) == pytest.approx(2000, abs=130)
    assert all(inner == [1, 2] for one in found for inner in one["a"])
    for length in range(5):
        assert sum(len(one["a"]) == length for one in found) == pytest.approx(1600, abs=120)


def test_texts_have_the_length_that_was_drawn_also_beyond_the_pool_of_words(make: Make) -> None:
    found = make(["{{ text(300000) }}", "{{ words(50000) }}", "{{ text(0) }}", "{{ words(0) }}", "{{ hex(0) }}"], 2)
    for text, words, *empty in map(json.loads, found):
        assert len(text) == 300_000
        assert len(words.split(" ")) == 50_000 and "" not in words.split(" ")
        assert empty == ["", "", ""]


def test_fields_of_a_file_come_from_one_row(make: Make, tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text('\ufeffname,mail\nA,a@x\n"B ""q""",b@x\nC,c@x\n', encoding="utf-8")
    (tmp_path / "n.jsonl").write_text('{"n": 1.10, "v": "x"}\n\n{"v": null, "n": [1, 2]}\n')
    template = {
        "name": "{{ row('u.csv', 'name') }}",
        "mail": "<{{ row('u.csv', 'mail') }}>",
        "n": "{{ row('n.jsonl', 'n', in_order=true) }}",
        "a": ["{{ repeat(2) }}", ["{{ row('u.csv', 'name') }}", "{{ row('u.csv', 'mail') }}"]],
    }
    texts = make(template, 600)
    pairs = {"A": "a@x", 'B "q"': "b@x", "C": "c@x"}
    names = set()
    for number, one in enumerate(map(json.loads, texts)):
        names.add(one["name"])
        assert one["mail"] == f"<{pairs[one['name']]}>"
        assert all(pairs[name] == mail for name, mail in one["a"])
        assert one["n"] == ([1, 2] if number % 2 else 1.1)
    assert names == set(pairs)
    assert '"n":1.10' in texts[0] and '"n":[1, 2]' in texts[1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("u.csv", b"a\n1\n", "record 1 of u.csv has no field 'b'; it has a"),
        ("u.csv", b"a,b\n1\n", "record 1 of u.csv has no field 'b'; it has a"),
        ("u.csv", b"b\n", "u.csv has no records"),
        ("u.csv", b"b\n\xff\n", "u.csv is not UTF-8"),
        ("u.csv", b'b\n"x"y\n', "u.csv: "),
        ("u.jsonl", b'{"b":1}\n[1]\n', "u.jsonl: line 2 is no JSON object"),
        ("u.jsonl", b'{"b":"\\ud800"}\n', "u.jsonl: line 1 is no JSON object"),
    ],
)
def test_a_data_file_that_cannot_be_used_is_told(
    make: Make, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"\$\.a") as caught:
        make({"a": f"{{{{ row('{name}', 'b') }}}}"})
    assert words in str(caught.value)
