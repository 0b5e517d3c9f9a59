"""The sample that ``make test`` takes: by the seed alone, from every file, and the same in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sampling import SEED, draw, parse

NAMES = st.lists(st.text(), unique=True)
SHARES = st.floats(0.01, 1)
SEEDS = st.integers(0, 2**32)


@given(NAMES, SHARES, SEEDS, st.randoms(use_true_random=False))
def test_a_draw_depends_on_the_seed_alone_not_on_the_order(
    names: list[str], share: float, seed: int, chance: object
) -> None:
    shuffled = list(names)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert draw(names, share, seed) == draw(shuffled, share, seed) <= set(names)


@given(NAMES, SHARES, SEEDS)
def test_a_draw_has_at_least_its_share_and_less_than_one_more(names: list[str], share: float, seed: int) -> None:
    assert share * len(names) <= len(draw(names, share, seed)) < share * len(names) + 1


def test_draws_with_other_seeds_come_to_all_tests() -> None:
    names = [f"test_{n}" for n in range(100)]

    assert set().union(*(draw(names, 0.34, seed) for seed in range(30))) == set(names)


@pytest.mark.parametrize("wrong", ["faults", "faults:", "faults:x", "faults:0", "faults:-1", "faults:1.1", "a:1,b"])
def test_a_sample_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(pytest.UsageError, match="--sample"):
        parse(wrong)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in ("faults/test_a.py", "faults/test_b.py", "unit/test_c.py"):
        path = tmp_path / "tests" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            "import pytest\n\n@pytest.mark.parametrize('n', range(20))\n"
            f"def test(n, record_property):\n    open('{tmp_path}/ran-{path.stem}-' + str(n), 'x')\n"
        )
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


_PLUGINS = ("-p", "xdist", "-p", "pytest_randomly", "-p", "tests.sampling")


def _run(project: Path, seed: str, *arguments: str) -> tuple[str, set[str]]:
    """What a run says, and the tests that it has run, each once."""
    for left in project.glob("ran-*"):
        left.unlink()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *_PLUGINS, "-p", "no:cacheprovider", *arguments, "tests"],
        cwd=project,
        env={
            **os.environ,
            SEED: seed,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # which would take most of the time
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout, {path.name for path in project.glob("ran-*")}


@pytest.mark.slow
def test_a_sampled_run_takes_from_each_file_of_the_folder_and_all_of_the_others(project: Path) -> None:
    said, ran = _run(project, "5", "--sample=faults:0.34")
    _, on_two = _run(project, "5", "--sample=faults:0.34", "-n", "2", "--dist", "worksteal")
    _, other = _run(project, "6", "--sample=faults:0.34")

    assert f"{SEED}=5, sample: faults:0.34" in said
    assert [sum(f"test_{file}-" in name for name in ran) for file in "abc"] == [7, 7, 20]
    assert on_two == ran
    assert other != ran and len(other) == len(ran)


@pytest.mark.slow
def test_a_run_of_some_variants_takes_one_of_each_test_at_least(project: Path) -> None:
    (project / "tests/unit/test_d.py").write_text(
        f"def test_one():\n    open('{project}/ran-test_d-one', 'x')\n"
        f"def test_two():\n    open('{project}/ran-test_d-two', 'x')\n"
    )

    said, ran = _run(project, "5", "--sample=faults:0.34", "--sample-variants=unit:0.1")
    _, other = _run(project, "6", "--sample=faults:0.34", "--sample-variants=unit:0.1")

    assert f"{SEED}=5, sample: faults:0.34, of variants: unit:0.1" in said
    assert [sum(f"test_{file}-" in name for name in ran) for file in "abcd"] == [7, 7, 2, 2]
    assert other != ran and len(other) == len(ran)


@pytest.mark.slow
def test_the_seed_sets_the_order_of_the_tests_too(project: Path) -> None:
    first, again, other = (
        [line for line in _run(project, seed, "-v")[0].splitlines() if "PASSED" in line] for seed in ("5", "5", "6")
    )

    assert len(first) == 60
    assert first == again != other
