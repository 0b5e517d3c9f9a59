"""Lines for the user: they break between words, and nothing that is to be copied is broken."""

from __future__ import annotations

import pytest

from loader.cli.stderr import wrapped

MESSAGE = (
    "runqy-loader: error: 127.0.0.1:1: connection refused. Check that the server runs there, and the address in --redis"
)


def test_a_long_message_breaks_between_words() -> None:
    lines = wrapped(MESSAGE, 60).split("\n")
    assert [len(line) <= 60 for line in lines] == [True] * len(lines)
    assert " ".join(line.strip() for line in lines) == MESSAGE
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_short_message_stays() -> None:
    assert wrapped(MESSAGE, 200) == MESSAGE
    assert wrapped("  two\nlines", 80) == "  two\nlines"


@pytest.mark.parametrize(
    "line",
    [
        "go on with: runqy-loader load a.jsonl --queue inference --rate 'ramp(1/s, 2/s, 3m)' --job q-default-0123",
        "runqy-loader: nothing is done yet. Give --yes to do it: runqy-loader jobs forget a-name-that-is-long --yes",
    ],
)
def test_a_command_to_copy_is_never_broken(line: str) -> None:
    assert wrapped(line, 60) == line


def test_the_text_of_a_count_stays_in_its_column() -> None:
    line = "  loaded                40,850  5,955 tasks/s into a-rather-long-queue-name.with-sub-queue, and another one"
    first, *others = wrapped(line, 80).split("\n")
    assert first.startswith("  loaded                40,850  5,955 tasks/s into")
    assert others and all(line.startswith(" " * 32) and not line.startswith(" " * 33) for line in others)


def test_a_word_that_is_longer_than_the_terminal_is_whole() -> None:
    name = "x" * 120
    assert any(name in line for line in wrapped(f"runqy-loader: {name}: no such file", 80).split("\n"))
