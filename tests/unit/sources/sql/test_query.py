"""What of a database's URL may be shown: neither user nor password, whatever characters they have."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.sources.sql.query import SqlQuery, digest_of, shown_url, without_secrets

SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), min_size=8).map(
    lambda s: f"{s}~SECRET"
)


@given(SECRETS, st.booleans(), st.sampled_from(["login", "//host/db?", "///db?", "///?"]))
def test_a_password_is_in_no_text_that_is_shown(secret: str, encoded: bool, where: str) -> None:
    written = quote(secret, safe="") if encoded else secret
    if where == "login":
        url = f"postgresql://user:{written}@host:5432/db"
    elif where.startswith("///"):  # no login can be before it, so an @ need not be encoded
        url = f"postgresql:{where}user=u&password={written.replace('&', '%26')}&sslmode=require"
    else:
        url = f"postgresql:{where}user=u&password={quote(secret, safe='')}&sslmode=require"
    assert "SECRET" not in shown_url(url)
    message = without_secrets(f"cannot use {url}: {secret}\n\tor  {written}", url)
    assert "SECRET" not in message
    assert "\n" not in message


def test_a_short_password_leaves_other_words_as_they_are() -> None:
    url = "mysql://u:a@h/d?token=e"
    text = "cannot use h: 'u:a', password='a', PWD=a;token=e: a table has ended"
    assert without_secrets(text, url) == "cannot use h: 'u:…', password='…', PWD=…;token=…: a table has ended"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:p@h:1/d?sslmode=require", "postgresql://h:1/d"),
        ("postgresql://u:p/q@r@h/d", "postgresql://h/d"),
        ("postgresql://@h/d", "postgresql://h/d"),
        ("postgresql://", "postgresql://"),
        ("postgresql:///d?user=u&password=p@ss", "postgresql:///d"),
        ("sqlite:////var/x.db", "sqlite:////var/x.db"),
        ("sqlite:///you@home/#1.db?timeout=3", "sqlite:///you@home/#1.db"),
        ("host=h password=secret", "…"),
    ],
)
def test_the_rest_of_the_address_is_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_user_and_password_are_no_part_of_what_a_job_is() -> None:
    one, other = (SqlQuery("select 1", f"postgresql://{login}@h/d") for login in ("u:p", "v"))
    assert digest_of(one, "h/d") == digest_of(other, "h/d")
    assert digest_of(one, "h/d") != digest_of(one, "h/e")
    assert digest_of(one, "h/d") != digest_of(SqlQuery("select 2", one.url), "h/d")
    assert digest_of(one, "h/d") != digest_of(SqlQuery("select 1", one.url, "id"), "h/d")
