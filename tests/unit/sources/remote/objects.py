"""A bucket in memory, of which a test says when it answers in another way."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from loader.sources.format import InputFile
from loader.sources.remote.remote_file import RemoteFile
from loader.sources.remote.site import NOT_ASKED, Listed, State, changed


class Bucket:
    """Objects by their keys, each with its ETag, or without one.

    Attributes:
        asked: The keys of which the state was asked for.
    """

    def __init__(self, objects: dict[str, tuple[bytes, str | None]]) -> None:
        self.objects = objects
        self.asked: list[str] = []

    async def state(self, key: str) -> State | None:
        self.asked.append(key)
        if key not in self.objects:
            return None
        content, etag = self.objects[key]
        return State(len(content), etag)

    async def list(self, prefix: str, enter: Callable[[str], bool]) -> AsyncGenerator[Listed, None]:
        for key, (content, etag) in self.objects.items():
            if key.startswith(prefix):
                yield Listed(key, State(len(content), etag))

    async def read(self, key: str, start: int, end: int | None, state: State) -> AsyncGenerator[bytes, None]:
        content, etag = self.objects[key]
        if state.etag is not None and state.etag != etag:
            raise changed(key, "its ETag is another one")
        yield content[start:end]

    async def aclose(self) -> None:
        pass

    def file(self, key: str, form: str = "jsonl", state: State = NOT_ASKED) -> InputFile:
        """An object as input, of which this is known."""
        return InputFile(f"s3://b/{key}", None, form, None, remote=RemoteFile(f"s3://b/{key}", self, key, key, state))
