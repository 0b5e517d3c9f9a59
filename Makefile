# Needs Python 3.11+, git and make; everything else is set up here: for work on the code in .venv, for the demo, which
# needs far less, in .venv-demo.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEMO_STAMP := .venv-demo/.installed
PIP_INSTALL := python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types lock bench bench-quick clean new-enough

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

new-enough:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "runqy-loader needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }

$(STAMP): requirements.lock pyproject.toml | new-enough
	$(PYTHON) -m venv --clear .venv
	$(BIN)/$(PIP_INSTALL) --require-hashes -r requirements.lock
	$(BIN)/$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(DEMO_STAMP): requirements-demo.lock | new-enough
	$(PYTHON) -m venv --clear .venv-demo
	.venv-demo/bin/$(PIP_INSTALL) --require-hashes -r requirements-demo.lock
	@touch $@

setup: $(STAMP) ## make the environment (.venv) from the lock file

demo: $(DEMO_STAMP) ## load a real data set into the embedded server and look at it
	.venv-demo/bin/python -m benchmarks.demo

test: $(STAMP) ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy

check: lint types ## ruff, import contracts and mypy

bench: $(STAMP) ## throughput beside redis-cli --pipe and redis-py (needs redis-server)
	$(BIN)/python -m benchmarks throughput

bench-quick: $(STAMP) ## every benchmark scenario, small: checks that the harness works
	$(BIN)/python -m benchmarks quick

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--python-version 3.11 --custom-compile-command "make lock" pyproject.toml

lock: $(STAMP) ## renew the lock files from pyproject.toml
	$(BIN)/$(PIP_INSTALL) uv
	$(LOCK) --all-extras --group dev -o requirements.lock
	$(LOCK) --all-extras --group matrix --constraint requirements.lock -o requirements-matrix.lock
	$(LOCK) --extra embedded --group demo --constraint requirements.lock -o requirements-demo.lock

clean: ## remove the environments and what runs left behind
	rm -rf .venv .venv-* demo benchmarks/out benchmarks/peers/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
