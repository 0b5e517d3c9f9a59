"""Names that are nearly the same, against the textbook's edit distance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.queues.near import nearly_same, one_edit_apart


def distance(a: str, b: str) -> int:
    """Damerau-Levenshtein distance (optimal string alignment), by its recurrence."""
    rows = [[max(i, j) if 0 in (i, j) else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            rows[i][j] = min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]))
            if i > 1 and j > 1 and a[i - 1] == b[j - 2] and a[i - 2] == b[j - 1]:
                rows[i][j] = min(rows[i][j], rows[i - 2][j - 2] + 1)
    return rows[-1][-1]


TEXTS = st.text("ab.", max_size=6)


@given(TEXTS, TEXTS)
def test_one_edit_is_a_distance_of_one(one: str, other: str) -> None:
    assert one_edit_apart(one, other) == (distance(one, other) == 1)


@given(st.text("abcdefA1", min_size=2, max_size=5), st.text("abcdefA1", min_size=2, max_size=5))
def test_it_does_not_matter_which_name_comes_first(one: str, other: str) -> None:
    assert nearly_same(one, other) == nearly_same(other, one)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("mail", "mail", False),
        ("mail", "Mail", True),
        ("q", "Q", True),
        ("mail", "mial", True),
        ("mail.default", "mails.default", True),
        ("mail.high", "mail.low", False),
        ("shard-1", "shard-2", False),
        ("shard1", "shard12", False),
        ("a.default", "b.default", False),
        ("mail", "mail.default", False),
    ],
)
def test_names_of_queues(one: str, other: str, same: bool) -> None:
    assert nearly_same(one, other) is same
