# SPDX-License-Identifier: Apache-2.0
# The only set-up a fresh machine needs: Python 3.11+, make. `make` alone prints this help.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev

# Compiled modules are kept beside the environment, whatever the shell says: each of the many processes of the demo
# and of the tests would otherwise compile everything again.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX := $(abspath $(VENV))/pycache

.DEFAULT_GOAL := help
.PHONY: help setup setup-run demo test test-fast test-quiet test-rest test-slow test-long longest lint types docs golden e2e bench bench-ingest bench-ingest-proofs bench-statistics bench-watch bench-readiness bench-work bench-evals bench-scorers bench-injection bench-pages bench-review bench-permissions bench-tamper bench-fewshot bench-gateway-account coverage lock clean

help: ## print this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pilothouse needs Python 3.11 or newer; set PYTHON=python3.12, for example.")'
	$(PYTHON) -m venv $(VENV)

# The locks are complete, so nothing is resolved (--no-deps): older pips look past a pin when a dependency asks for the
# same package with an extra, and then refuse whatever newer release the index has.
$(STAMP): requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing Pilothouse into $(VENV) (a minute or two, once)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r requirements/run.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): requirements/dev.txt $(STAMP)
	@echo "installing what the tests need"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: -r requirements/dev.txt
	@touch $@

setup-run: $(STAMP) ## install what Pilothouse needs to run
setup: $(DEV_STAMP) ## install everything, tests and checks included

demo: $(STAMP) ## run the demo: a flawed pilot, its repair, phase 1, an incident, phase 2
	$(BIN)/pilothouse demo --home demo-data
	@command -v pilothouse >/dev/null || echo "(once in this terminal: . $(BIN)/activate)"

# Style and types use one core while the core's tests leave the other one idle in parts; their words are kept apart
# where this make can.
test: setup ## everything that must be green
	@$(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) coverage lint types
	@$(MAKE) --no-print-directory test-rest

# The core is covered by its own tests, and only they pay for being measured.
CORE = tests/unit/core tests/property tests/golden src/pilothouse/core src/pilothouse/errors.py

test-fast: setup ## the rules: charter, statistics, verdicts; under a minute, while you write
	$(BIN)/python -m pytest -q -n 2 tests/unit/core tests/golden src/pilothouse/core src/pilothouse/errors.py

test-quiet: setup ## whatever needs no server, browser or second process; some three minutes
	$(BIN)/python -m pytest -q -n 2 -m "not slow" tests src

# A third worker on two cores: many tests wait for a server, a timer or a browser. The longest come first.
REST = $(BIN)/python -m pytest -q -n 3 --dist loadgroup --no-loadscope-reorder

test-rest: setup ## everything but the core: units, servers, browsers, kills, simulations
	$(REST) --durations=40 tests src $(CORE:%=--ignore=%)

longest: setup ## measure what takes long, for the order of the next run (tests/longest_first.json)
	$(REST) --note-longest tests src $(CORE:%=--ignore=%)

test-slow: setup ## servers, browsers, kills, simulations
	$(REST) -m slow tests

test-long: setup ## what proves at length what a shorter test of `make test` proves, and every simulation in full
	$(REST) -m long tests
	$(BIN)/python benchmarks/statistics/run.py

lint: setup ## style, floors, cycles; lists the largest files
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@echo "largest files (a question for review, never a failure):"
	@find src -name '*.py' -exec wc -l {} + | sort -rn | sed -n '2,6p'

types: setup ## mypy --strict
	$(BIN)/mypy

docs: setup ## regenerate the reference, then run every example in the docs
	$(BIN)/python docs/generate.py
	$(BIN)/python -m pytest -q tests/architecture -k docs

golden: setup ## rewrite golden files; read the difference like code
	$(BIN)/python tests/golden/update.py

e2e: setup ## only the end-to-end tests
	$(REST) tests/e2e

coverage: setup ## the core's tests with branch coverage: it must have 100 %
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup --cov --cov-report=term --cov-fail-under=100 $(CORE)

bench: setup ## the benchmarks that need no peer: statistics and evaluation harness
	$(BIN)/python benchmarks/statistics/speed.py
	$(BIN)/python benchmarks/evals/run.py

bench-ingest: setup ## spans per CPU-second beside two peers (PEERS=FOLDER takes installed ones), questions of pages, cost by stage
	$(BIN)/python benchmarks/ingest/run.py $(if $(PEERS),--peers $(PEERS))
	$(BIN)/python benchmarks/ingest/queries.py
	$(BIN)/python benchmarks/ingest/stages.py
	$(BIN)/python benchmarks/ingest/stages.py --fresh

bench-ingest-proofs: setup ## 200 kills, full disk, clock jumps, 100,000 mutations, ten minutes of overload
	$(BIN)/python benchmarks/ingest/mutations.py
	$(BIN)/python benchmarks/ingest/kills.py
	$(BIN)/python -m pytest -q -n 0 tests/anomaly/test_full_disk.py tests/unit/lake/test_node.py -k "disk or clock"
	$(BIN)/python benchmarks/ingest/overload.py

bench-evals: setup ## our runner beside a bare loop (PEERS=FOLDER adds the peers), and the gate played against known truths
	$(BIN)/python benchmarks/evals/run.py $(if $(PEERS),--peers $(PEERS))
	$(BIN)/python benchmarks/evals/gate_simulation.py --runs 50

bench-scorers: setup ## scorers of five libraries in one run, equal to native (PEERS=FOLDER for their environment)
	$(BIN)/python benchmarks/evals/foreign_scorers.py --peers $(or $(PEERS),.venv/peers)

bench-gateway-account: setup ## where the CPU of a call goes, by stage, thread and process, for whole answers and streams
	$(BIN)/python benchmarks/gateway/account.py
	$(BIN)/python benchmarks/gateway/account.py --stream --clients 4 --requests 500

bench-gateway: setup ## the gateway beside the direct call and a bare proxy (LITELLM=PROGRAM PORTKEY=FOLDER add the peers)
	$(BIN)/python benchmarks/gateway/run.py $(if $(LITELLM),--litellm $(LITELLM)) $(if $(PORTKEY),--portkey $(PORTKEY))

bench-tools: setup ## CPU of one tool call with everything on, beside the bare function and another span
	$(BIN)/python benchmarks/tools/run.py

bench-mcp: setup ## what the MCP proxy adds to a call over HTTP, beside the same call without it, and its account by stage
	$(BIN)/python benchmarks/mcp/account.py
	$(BIN)/python benchmarks/mcp/run.py

bench-mcp-conformance: setup ## MCP conformance direct and through /mcp (CONFORMANCE=FOLDER of the npm package, NODE=node of version 22 or newer)
	$(BIN)/python benchmarks/mcp/conformance.py $(CONFORMANCE) --node $(or $(NODE),node)

bench-pages: setup ## every page at a million spans: bytes, requests, server time, first paint
	$(BIN)/python benchmarks/pages/run.py

bench-review: setup ## from a reviewer's answer to the next item painted, in chromium, beside the same page from memory
	$(BIN)/python benchmarks/review/run.py

bench-replay: setup ## agents of three frameworks recorded, the provider stopped, replayed, mutated; context edits fuzzed (RUNS=100)
	$(BIN)/python benchmarks/replay/run.py --runs $(or $(RUNS),100)

bench-statistics: setup ## every statistical bar: expected, observed, tolerance
	$(BIN)/python benchmarks/statistics/run.py

bench-watch: setup ## delays of falls over 200 months, a simulated year at 10,000 tasks a day through the watch, CPU of a tick
	$(BIN)/python benchmarks/watch/delays.py
	$(BIN)/python benchmarks/watch/run.py
	$(BIN)/python benchmarks/watch/tick.py

bench-readiness: setup ## verdicts over 100 agents with a year of evidence, against two seconds
	$(BIN)/python benchmarks/readiness/run.py

bench-work: setup ## background work killed at 59 points, the error of its timers, and how soon a second process takes over
	$(BIN)/python -m pytest -q -n 0 benchmarks/work/test_kills.py
	$(BIN)/python benchmarks/work/timing.py

bench-fewshot: setup ## retrieval over 10,000 examples: time, what it finds, lift and leakage (INTENTS=FILE.csv for a public set)
	$(BIN)/python benchmarks/fewshot/run.py $(if $(INTENTS),--intents $(INTENTS))

bench-tamper: setup ## falsify an audit log 1,005 times in 15 kinds, and see each from an outside checkpoint
	$(BIN)/python benchmarks/audit/run.py

bench-permissions: setup ## CPU of one permission decision beside cedarpy alone
	$(BIN)/python benchmarks/permissions/run.py

bench-injection: ## a gullible agent against the boundary (AGENTDOJO=PYTHON of an environment with agentdojo 0.1.35; PART=benign, adaptive or "attacks --suite slack")
	PYTHONPATH=src $(AGENTDOJO) benchmarks/injection/run.py $(PART)

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header --quiet
lock: ## resolve and hash the dependencies again (needs uv)
	$(BIN)/$(LOCK) --extra demo --group build -o requirements/run.txt
	$(BIN)/$(LOCK) --extra demo --extra grpc --extra mcp --extra pdf --extra postgres --group build --group frameworks --group test --group lint --group oracles -c requirements/run.txt -o requirements/dev.txt

clean: ## remove what the targets made, the virtual environment included
	rm -rf $(VENV) demo-data artifacts .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
