"""Errors: each has a code of its own, can be imported from the package, is documented, and crosses processes whole."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import loader
from loader import errors
from loader.engine.messages import Ended
from loader.errors import LoaderError, UsageError
from loader.preflight.checks import Finding
from tests.unit.crossing import crossed

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"

PUBLIC = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LoaderError)]
EACH = pytest.mark.parametrize("kind", PUBLIC, ids=lambda kind: kind.__name__)


def documented() -> dict[str, tuple[str, int]]:
    """Exception and exit status by code, from the table of errors."""
    section = REFERENCE.read_text().split("### Errors\n")[1]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| [^|]+ \| (\d+) \|$", section, re.MULTILINE)
    return {code: (name, int(status)) for code, name, status in rows}


def all_kinds(kind: type[LoaderError] = LoaderError) -> Iterator[type[LoaderError]]:
    """All subclasses that the package defines."""
    for module in pkgutil.walk_packages(loader.__path__, "loader."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    waiting = [kind]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += [sub for sub in found.__subclasses__() if sub.__module__.startswith("loader.")]


@EACH
def test_each_error_has_a_code_of_its_own(kind: type[LoaderError]) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", vars(kind)["code"])
    assert [other for other in PUBLIC if other.code == kind.code] == [kind]


@EACH
def test_each_error_can_be_imported_from_the_package(kind: type[LoaderError]) -> None:
    assert kind.__name__ in loader.__all__
    assert getattr(loader, kind.__name__) is kind


@EACH
def test_each_error_is_documented_with_its_exit_status(kind: type[LoaderError]) -> None:
    assert documented()[kind.code] == (kind.__name__, kind.exit_status)


def test_no_code_is_documented_that_nothing_has() -> None:
    assert set(documented()) == {kind.code for kind in PUBLIC}


def test_errors_within_the_package_have_a_documented_code_too() -> None:
    kinds = list(all_kinds())
    assert len(kinds) > len(PUBLIC)
    assert {kind.code for kind in kinds} == set(documented())


@EACH
def test_each_error_crosses_processes_with_its_code_and_hint(kind: type[LoaderError]) -> None:
    ended, _ = crossed(Ended(complete=False, error=kind("it broke", "Correct it")))

    error = ended.error
    assert type(error) is kind
    assert (error.args, error.hint, error.code) == (("it broke",), "Correct it", kind.code)
    assert str(error) == "it broke. Correct it"


def test_what_a_server_asks_for_crosses_processes_as_well() -> None:
    error = loader.TransientError("busy")
    error.retry_after = 7.5
    assert crossed(error)[0].retry_after == 7.5


def test_every_public_name_is_there_and_no_other() -> None:
    for name in loader.__all__:
        assert getattr(loader, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'NoSuchError'"):
        _ = loader.NoSuchError


def test_a_message_that_is_a_question_gets_no_full_stop() -> None:
    assert str(UsageError("itn is nothing; did you mean int?", "See the list")) == (
        "itn is nothing; did you mean int? See the list"
    )
    assert str(Finding("x", "error", "is it?", "See the list")) == "is it? See the list"
