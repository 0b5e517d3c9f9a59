"""API keys of clients."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence

from loader.errors import UsageError


class ApiKeys:
    """Checks the API keys of requests.

    It holds only digests, and a comparison takes the same time for every key. So a client can measure neither at which
    character its key is wrong, nor how long the valid keys are.

    Args:
        keys: The valid keys. If there are none, every request is allowed.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._digests = [hashlib.sha256(key).digest() for key in keys]

    @classmethod
    def from_environment(cls, name: str) -> ApiKeys:
        """The keys in an environment variable, separated by commas.

        Raises:
            UsageError: The variable holds no key.
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

    def allow(self, authorization: bytes, api_key: bytes | None = None) -> bool:
        """Whether a request may go on.

        Args:
            authorization: Its field ``Authorization``: ``Bearer KEY``; empty if it has none.
            api_key: Its field ``X-API-Key``, which runqy's server takes as well.
        """
        if not self._digests:
            return True
        scheme, _, key = authorization.partition(b" ")
        right = self._is_key(key.strip()) and scheme.lower() == b"bearer"
        return (api_key is not None and self._is_key(api_key)) or right

    def _is_key(self, key: bytes) -> bool:
        given = hashlib.sha256(key).digest()
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]  # always all, for a constant time
        return any(matches)
