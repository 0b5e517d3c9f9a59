"""API keys of clients."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence

from loader.errors import UsageError


class ApiKeys:
    """Tells requests with a right key from others.

    Only digests are held, and a comparison takes the same time for every key: neither where two keys begin to differ,
    nor how long the right ones are, can be measured.

    Args:
        keys: The right ones; none of them lets everybody in.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._digests = [hashlib.sha256(key).digest() for key in keys]

    @classmethod
    def from_environment(cls, name: str) -> ApiKeys:
        """The keys in an environment variable, separated by commas.

        Raises:
            UsageError: It holds none.
        """
        keys = [key.strip() for key in os.fsencode(os.environ.get(name, "")).split(b",")]
        if not any(keys):
            raise UsageError(
                f"the environment variable {name} holds no API key", "Put it there, or several with commas between them"
            )
        return cls([key for key in keys if key])

    @property
    def needed(self) -> bool:
        return bool(self._digests)

    def allow(self, authorization: bytes) -> bool:
        """Whether a request with this ``Authorization`` header (empty for none) may go on."""
        if not self._digests:
            return True
        scheme, _, key = authorization.partition(b" ")
        given = hashlib.sha256(key.strip()).digest()
        right = [hmac.compare_digest(given, digest) for digest in self._digests]  # all of them, whatever the first says
        return any(right) and scheme.lower() == b"bearer"
