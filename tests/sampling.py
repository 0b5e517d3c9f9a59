"""``--sample``: of some folders' tests, a share that a seed draws. A run is short; the runs together cover all.

``--sample-variants`` draws from the variants of each test: those with other parameters, such as another server.

The seed also sets the order of the tests (pytest-randomly). It is drawn from the commit: the same commit is tested in
the same way again, the next one in another.
"""

from __future__ import annotations

import math
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import pytest

SEED = "RUNQY_LOADER_TEST_SEED"
"""Environment variable: the seed, a whole number."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("sample").addoption(
        "--sample",
        default="",
        metavar="FOLDER:SHARE,...",
        help="run this share (above 0, up to 1) of the tests below each of these folders of tests/, and of each file "
        f"one test at least; which ones follows from the environment variable {SEED}",
    )
    parser.getgroup("sample").addoption(
        "--sample-variants",
        default="",
        metavar="FOLDER:SHARE,...",
        help="run this share of the variants of each test below each of these folders of tests/, one at least",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # In the environment, the processes of pytest-xdist find the seed of the one that started them.
    seed = os.environ.setdefault(SEED, str(_seed_of(config.rootpath)))
    if not seed.isascii() or not seed.isdigit():
        raise pytest.UsageError(f"{SEED} must be a whole number, not {seed!r}")
    if config.getoption("randomly_seed", None) == "default":
        config.option.randomly_seed = int(seed)


def pytest_report_header(config: pytest.Config) -> str:
    sample, variants = config.getoption("sample"), config.getoption("sample_variants")
    of_variants = f", of variants: {variants}" if variants else ""
    return f"{SEED}={os.environ[SEED]}, sample: {sample or 'none, all tests are run'}{of_variants}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    dropped = {
        *_dropped(config, items, parse(config.getoption("sample")), lambda item: str(item.path)),
        *_dropped(config, items, parse(config.getoption("sample_variants")), _without_parameters),
    }
    if dropped:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in dropped])
        items[:] = [item for item in items if item.nodeid not in dropped]


def _dropped(
    config: pytest.Config,
    items: Sequence[pytest.Item],
    shares: Mapping[str, float],
    group: Callable[[pytest.Item], str],
) -> set[str]:
    """The names of the tests that are not drawn, of those in the folders. Each group has a draw of its own."""
    tests = config.rootpath / "tests"
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in items:
        folder = item.path.relative_to(tests).parts[0] if item.path.is_relative_to(tests) else ""
        if folder in shares:
            groups[folder, group(item)].append(item.nodeid)
    seed = int(os.environ[SEED])
    return {name for (folder, _), names in groups.items() for name in set(names) - draw(names, shares[folder], seed)}


def _without_parameters(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def parse(sample: str) -> Mapping[str, float]:
    """Folder to share.

    Raises:
        UsageError: It is not as ``--sample`` and ``--sample-variants`` want it.
    """
    shares: dict[str, float] = {}
    for part in filter(None, sample.split(",")):
        folder, _, share = part.partition(":")
        try:
            shares[folder] = float(share)
        except ValueError:
            shares[folder] = 0
        if not 0 < shares[folder] <= 1:
            raise pytest.UsageError(f"--sample: {part!r} is not FOLDER:SHARE with a share above 0, up to 1")
    return shares


def draw(names: Sequence[str], share: float, seed: int) -> set[str]:
    """This share of the names, rounded up. It does not depend on their order, nor on the process that draws."""
    by_lot = sorted(names, key=lambda name: (crc32(f"{seed}::{name}".encode(errors="surrogatepass")), name))
    return set(by_lot[: math.ceil(share * len(by_lot))])


def _seed_of(folder: Path) -> int:
    """Drawn from the commit; from the date where there is no git."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short=8", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        )
        return int(found.stdout, 16)
    except (OSError, subprocess.CalledProcessError, ValueError):
        return int(time.strftime("%Y%m%d", time.gmtime()))
