"""Places for one file a shard: a folder, or a prefix of a bucket. Their texts end in a slash.

An option that takes a file or a place has a ``Path`` for the one and a text for the other.
"""

from __future__ import annotations

from pathlib import Path

_BUCKETS = ("s3", "gs", "az")


def is_place(text: str) -> bool:
    """Whether a text names a place, not a file. A URL without a slash at its end is refused by ``place_problem``."""
    return text.endswith("/") or is_url(text)


def is_url(text: str) -> bool:
    """Whether a place is in a bucket, not a folder."""
    return "://" in text


def place_problem(value: Path | str) -> str | None:
    """What is wrong with the value of an option that takes a file or a place; None if nothing is."""
    if isinstance(value, Path) or not is_url(value):
        return None
    scheme, _, rest = value.partition("://")
    if scheme in _BUCKETS and value.endswith("/") and rest.strip("/"):
        return None
    return "must be a file, a folder that ends in /, or s3://BUCKET/PREFIX/ (gs:// and az:// as well) with the last /"


def file_of(value: Path | str | None) -> Path | None:
    """The file that such an option names; None if it names a place or nothing."""
    return value if isinstance(value, Path) else None


def place_of(value: Path | str | None) -> str | None:
    """The place that such an option names; None if it names a file or nothing."""
    return value if isinstance(value, str) else None


def absolute_place(place: str) -> str:
    """A place as another process, with another working folder, must name it."""
    return place if is_url(place) else f"{Path(place).absolute()}".rstrip("/") + "/"


def shard_file(job: str, shard: int, ending: str) -> str:
    """The name of a shard's file. It follows from job and shard alone, so that each run of the shard has the same."""
    return f"{job}-{shard:06d}{ending}"
