# Needs Python 3.11+, git and make; everything else is set up here, in .venv.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-faults test-interop check lint types lock bench bench-quick clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "runqy-loader needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## make the environment (.venv) from the lock file

demo: $(STAMP) ## load a real data set into the embedded server and look at it
	$(BIN)/python -m benchmarks.demo

PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: $(STAMP) ## the tests, with a sample of the fault and interop ones (see tests/README.md)
	$(PYTEST) --sample=faults:0.34,interop:0.34

test-all: $(STAMP) ## all tests, nothing left out
	$(PYTEST)

test-faults: $(STAMP) ## all fault tests
	$(PYTEST) tests/faults

test-interop: $(STAMP) ## all tests with real peers: asynq, Go, Node.js, redis-cli
	$(PYTEST) tests/interop

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

lock: $(STAMP) ## renew requirements.lock from pyproject.toml
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links --python-version 3.11 \
		--custom-compile-command "make lock" --group dev pyproject.toml -o requirements.lock

clean: ## remove the environment and what runs left behind
	rm -rf .venv demo benchmarks/out benchmarks/peers/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
