"""Runs targets: ``python -m tests.fuzz [TARGET …] [--seconds N | --runs N]``.

A target that fails prints the traceback and ``again: …``, the command that repeats it.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz import targets

_MOST_BYTES = 8192
_SECONDS_AN_INPUT = 20
_INSTRUMENTED = ["loader", "tomllib", "yaml"]
"""What is followed line by line: our code, and parsers in Python whose errors reach it."""


def names() -> list[str]:
    """The names of all targets."""
    return sorted(module.name for module in pkgutil.iter_modules(targets.__path__))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(names())}; none for all")
    parser.add_argument("--seconds", type=int, default=0, help="how long to run each target")
    parser.add_argument("--runs", type=int, default=0, help="how many inputs to run each target with")
    parser.add_argument("--seed", type=int, default=1, help="of the fuzzer's choices (with --runs: the same inputs)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(".fuzz"),
        help="keeps inputs that reached something new, from which the next run goes on, and inputs that failed",
    )
    parser.add_argument("--input", type=Path, help="run one target on the content of this file alone")
    given = parser.parse_args()
    wanted = given.targets or names()
    if unknown := set(wanted) - set(names()):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    if given.input is None and not given.seconds and not given.runs:
        parser.error("give --seconds or --runs, or one --input")
    if given.input is not None:
        importlib.import_module(f"{targets.__name__}.{wanted[0]}").check(given.input.read_bytes())
        return 0
    if len(wanted) == 1:
        fuzz(wanted[0], given)
    failed = [name for name in wanted if not _in_process_of_its_own(name)]
    print(
        f"{len(wanted) - len(failed)} of {len(wanted)} targets are fine",
        *(f"failed: {name}" for name in failed),
        sep="\n",
    )
    return 1 if failed else 0


def _in_process_of_its_own(name: str) -> bool:
    """Runs one target with the options of this process. The fuzzer ends its process, so each needs its own."""
    print(f"== {name}", flush=True)
    began = time.monotonic()
    options = [word for word in sys.argv[1:] if word not in names()]
    done = subprocess.run([sys.executable, "-m", "tests.fuzz", name, *options], check=False)
    print(f"== {name}: {'fine' if not done.returncode else 'FAILED'}, {time.monotonic() - began:.0f} s", flush=True)
    return not done.returncode


def fuzz(name: str, given: argparse.Namespace) -> None:
    """Fuzzes one target, and ends the process: status 0 if nothing was found."""
    import atheris

    corpus, found = given.folder / name / "corpus", given.folder / name / "found"
    for one in (corpus, found):
        one.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(given.folder / name)  # for targets that need a file: the fuzzer's end runs no cleanup
    with atheris.instrument_imports(include=_INSTRUMENTED):
        target = importlib.import_module(f"{targets.__name__}.{name}")
        for number, seed in enumerate(target.seeds()):
            (corpus / f"seed-{number}").write_bytes(seed)
            target.check(seed)  # it imports, so also counts, what the loader imports only when it is needed

    def check(data: bytes) -> None:
        try:
            target.check(data)
        except BaseException:
            print(f"\nfailed on {data!r}\nagain: python -m tests.fuzz {name} --input FILE (its name is below)")
            raise

    limits = [f"-max_total_time={given.seconds}"] if given.seconds else []
    limits += [f"-runs={given.runs}"] if given.runs else []
    atheris.Setup(
        [
            name,
            str(corpus),
            *limits,
            f"-seed={given.seed}",
            f"-max_len={_MOST_BYTES}",
            f"-timeout={_SECONDS_AN_INPUT}",
            f"-artifact_prefix={found}/",
            "-print_final_stats=1",
        ],
        check,
    )
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
