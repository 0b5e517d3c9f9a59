"""Names of hosts."""

from __future__ import annotations

WRONG_NAME = "a part of the host's name is empty or too long (1 to 63 characters)"


def can_be_a_name(host: str) -> bool:
    """Whether a host can be looked up. Python encodes it by the rules of names first, and raises UnicodeError."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True
