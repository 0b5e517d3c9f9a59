"""What is left of the logins in URLs where a user sees them."""

from __future__ import annotations

import pytest

from loader.cli.logins import without_logins, without_password


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "Sftp", "REDISS", "postgresql+psycopg"])
def test_a_login_is_hidden_however_its_scheme_is_written(scheme: str) -> None:
    url = f"{scheme}://u:geheim@h/x"
    assert without_logins(f"{url} is bad") == f"{scheme}://…@h/x is bad"
    assert "geheim" not in without_password(url)


def test_what_our_own_lines_write_in_the_place_of_a_login_stays() -> None:
    text = "Write https://[USER:PASSWORD@]HOST or redis://:PASSWORD@HOST"
    assert without_logins(text) == text
