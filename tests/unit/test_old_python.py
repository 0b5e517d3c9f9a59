"""Under a Python that is too old, every entrance says so in one line."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import loader

ROOT = Path(__file__).parents[2]
ENTRANCES = (
    ["-m", "loader", "--help"],
    ["-m", "runqy_loader", "--help"],
    ["-c", "import sys; from loader.__main__ import main; sys.exit(main())"],
)
"""``python -m loader`` or ``runqy_loader``, and what an installer writes into the script ``runqy-loader``."""


def old_pythons() -> list[str]:
    """Those of Python 3.6 to 3.10 that are on the path, or that pyenv has."""
    on_path = [found for minor in range(6, 11) if (found := shutil.which(f"python3.{minor}"))]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    of_pyenv = [str(found) for found in pyenv.glob("versions/3.*/bin/python")]
    return [python for python in dict.fromkeys([*on_path, *of_pyenv]) if version_of(python) in range(6, 11)]


def version_of(python: str) -> int | None:
    """Its minor version; None if it does not run, as a shim of pyenv's for a version that is not chosen."""
    done = subprocess.run(
        [python, "-c", "import sys; print(sys.version_info[1])"], capture_output=True, text=True, check=False
    )
    return int(done.stdout) if done.returncode == 0 else None


def test_an_old_python_is_told_in_one_line() -> None:
    pythons = old_pythons()
    if not pythons:
        pytest.skip("no Python from 3.6 to 3.10 is installed")
    for python in pythons:
        for arguments in ENTRANCES:
            done = subprocess.run([python, "-B", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stdout) == (2, "")
            assert re.fullmatch(
                r"runqy-loader: error: runqy-loader needs Python 3\.11 or newer, and \S+ is 3\.\d+\.\d+\. "
                r"Install it with a newer one\.\n",
                done.stderr,
            )


def test_the_entrances_parse_under_old_pythons() -> None:
    packages = ("loader", "runqy_loader")
    for path in (ROOT / package / name for package in packages for name in ("__init__.py", "__main__.py")):
        tree = ast.parse(path.read_text(), feature_version=(3, 6))
        futures = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
        assert not futures  # that of annotations is of Python 3.7


def test_a_program_that_imports_the_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "OLDEST_PYTHON", (3, 99))

    with pytest.raises(ImportError, match=r"runqy-loader needs Python 3\.99 or newer"):
        _ = loader.load


def test_the_oldest_python_is_the_same_wherever_it_is_said() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    oldest = ".".join(map(str, loader.OLDEST_PYTHON))
    assert project["project"]["requires-python"] == f">={oldest}"
    assert project["project"]["scripts"] == {"runqy-loader": "loader.__main__:main"}
    assert project["tool"]["mypy"]["python_version"] == oldest
    assert f"sys.version_info < {loader.OLDEST_PYTHON}" in (ROOT / "Makefile").read_text()
    assert f"needs Python {oldest} or newer" in (ROOT / "Makefile").read_text()
