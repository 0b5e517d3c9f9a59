"""Names, addresses and other invented values, by Mimesis (extra ``generate``).

A library draws one value after the other, so record k would need those before it. Therefore each placeholder draws a
pool once, and records pick from it. Another version of the library may draw another pool: its version is a part of the
source.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import orjson

from loader.extras import require
from loader.sources.generated.column import insides

NAMES = {
    "name": "person.full_name",
    "first_name": "person.first_name",
    "last_name": "person.last_name",
    "email": "person.email",
    "username": "person.username",
    "phone": "person.phone_number",
    "job": "person.occupation",
    "company": "finance.company",
    "address": "address.address",
    "city": "address.city",
    "country": "address.country",
    "url": "internet.url",
    "ipv4": "internet.ip_v4",
    "sentence": "text.sentence",
}
"""Placeholders for providers that are often wanted, and the methods of Mimesis that make their values."""


class Library:
    """The library, for one template."""

    def __init__(self) -> None:
        self.version = ""
        """The library with its version, once a value was drawn; else ''."""

    def pool(self, provider: str, locale: str, size: int, seed: str) -> tuple[Sequence[str], bool]:
        """So many values; see ``insides``.

        Raises:
            UsageError: The library is not installed.
            ValueError: It has no such provider or locale, or its values are not JSON.
        """
        require("generate", f"{{{{ {provider} }}}}")
        import mimesis

        self.version = f"mimesis {mimesis.__version__}"
        return _pool(provider, locale, size, seed)


@lru_cache(maxsize=64)
def _pool(provider: str, locale: str, size: int, seed: str) -> tuple[Sequence[str], bool]:
    from mimesis import Generic, Locale

    if locale not in {one.value for one in Locale}:
        raise ValueError(f"there is no locale {locale!r}; there are {', '.join(sorted(one.value for one in Locale))}")
    group, _, method = provider.partition(".")
    made = getattr(getattr(Generic(locale=Locale(locale), seed=seed), group, None), method, None)
    if method.startswith("_") or group.startswith("_") or not callable(made):
        raise ValueError(f"Mimesis has no provider {provider!r}; one is such as 'person.full_name'")
    try:
        texts = [orjson.dumps(made()).decode() for _ in range(size)]
    except TypeError as error:
        raise ValueError(f"{provider} makes no JSON: {error}") from None
    return insides(texts)
