"""What a placeholder knows when it is read: its place in the template, the seed, and what templates may draw on."""

from __future__ import annotations

from dataclasses import dataclass

from loader.sources.generated.data_files import DataFiles
from loader.sources.generated.library import Library


@dataclass(frozen=True, slots=True)
class Context:
    """Where a placeholder stands.

    Attributes:
        place: Names the placeholder's draws: its path, and its number among those of one text. So a change elsewhere in
            the template does not change its values.
        scope: The path of the innermost array around it, or of the record.
        seed: The seed.
        files: The data files of the template.
        library: What the library of names makes.
    """

    place: str
    scope: str
    seed: int
    files: DataFiles
    library: Library
