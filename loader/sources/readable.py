"""Finds files that cannot be read after their beginning."""

from __future__ import annotations

from collections.abc import Sequence

from loader.errors import SourceError
from loader.sources.fingerprint import fingerprint
from loader.sources.format import InputFile
from loader.sources.problems import Problem, Problems


def without_unfit(files: Sequence[InputFile], problems: Problems) -> list[InputFile]:
    """The files whose fingerprint can be read. The others become problems."""
    good: list[InputFile] = []
    for file in files:
        try:
            if file.path is not None:
                fingerprint(file.name, file.path)
            good.append(file)
        except SourceError as error:
            problems.add(Problem.of(file.name, error))
    return good
