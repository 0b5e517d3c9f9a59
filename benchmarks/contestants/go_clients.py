"""Go's clients, pipelined: the programs in ``benchmarks/peers/go``."""

from __future__ import annotations

from functools import partial

from benchmarks.contestants.go_build import build
from benchmarks.contestants.program import Program


def _program(name: str) -> list[str]:
    return [str(build("go", "./cmd/...") / name)]


def _client(name: str, label: str, note: str) -> Program:
    return Program(name, label, partial(_program, name), connections=4, note=note)


GO_REDIS = _client("go-redis", "go-redis pipeline", "4 goroutines, a connection each; no validation")
RUEIDIS = _client(
    "rueidis", "rueidis DoMulti", "4 goroutines and 4 connections, one of them at random for each batch; no validation"
)
