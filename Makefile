# Everything starts here: `make` shows what there is. Each target sets up what it needs; a second run takes seconds.

PYTHON ?= python3
# Of make chaos: the first seed, how many runs of the fault matrix, and how many damaged files.
SEED ?= 1
RUNS ?= 100
COUNT ?= 10000
# Of make accuracy: programmes against FFmpeg's filters, seeded defects, hours of clean programme.
PROGRAMMES ?= 200
DEFECTS ?= 1000
HOURS ?= 2
UV_VERSION := 0.13.9
AUDIT_TOOLS := cyclonedx-bom==7.5.0 pip-audit==2.10.1
BIN := .venv/bin
STAMPS := .venv/stamps

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint accuracy chaos k8s minio audit bench lock clean

help: ## Show this
	@echo "Dailies: exact, complete content metadata for every upload. Linux, x86-64, Python 3.11."
	@echo
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "After 'make setup' the command is $(BIN)/dailies."

setup: $(STAMPS)/project $(STAMPS)/kafka ## Install everything, pinned by hash, into .venv (no root, no system Java)
	@:

demo: setup ## Start a stack, send a rendered sample through it, show truth against found
	@$(BIN)/dailies demo

test: setup ## Run every test (installs the tools that tests compare with, where it may)
	@scripts/install-test-tools.sh
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations=25 --durations-min=5

lint: setup ## Check style, formatting and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

accuracy: setup ## Compare with reference implementations, find seeded defects (DEFECTS), raise no false alarm (HOURS)
	@scripts/install-test-tools.sh
	@DAILIES_ALL_TASKS=1 $(BIN)/python -m pytest -m "not chaos" tests/accuracy \
	    tests/integration/test_pipeline.py tests/integration/test_crowd.py tests/integration/test_rolling_upgrade.py \
	    tests/integration/test_decoder_clip.py tests/integration/test_minio.py tests/integration/test_static_members.py
	@$(BIN)/python -m tests.accuracy.agreement --count $(PROGRAMMES)
	@$(BIN)/python -m tests.accuracy.recall --count $(DEFECTS)
	@$(BIN)/python -m tests.accuracy.clean --hours $(HOURS)

chaos: setup ## Kill, crash and cycle; RUNS (100) seeded runs of the fault matrix from SEED (1) on
	@scripts/install-test-tools.sh
	@$(BIN)/python -m tests.chaos --seed $(SEED) --runs $(RUNS)
	@$(BIN)/python -m pytest -m chaos
	@$(BIN)/python -m tests.chaos.mutants --stack --seed $(SEED) --count $(COUNT)
	@DAILIES_CYCLES=20 $(BIN)/python -m pytest -o timeout=900 tests/integration/test_supervisor.py -k cycles

k8s: setup ## Hold the manifests to a real API server, kwok's nodes and KEDA (builds them once: 15 minutes)
	@scripts/install-test-tools.sh
	@scripts/k8s-tools.sh
	@$(BIN)/python -m pytest -m cluster tests/cluster

minio: ## Build the object store that tests use, or find it (some minutes, once; needs Go)
	@scripts/minio.sh

audit: setup ## Bill of materials (CycloneDX), licences and known vulnerabilities of what is locked, into build/audit
	@[ -x build/audit/venv/bin/pip-audit ] || { $(BIN)/uv venv --quiet --python $(BIN)/python build/audit/venv && \
	    $(BIN)/uv pip install --quiet --python build/audit/venv/bin/python $(AUDIT_TOOLS); }
	@$(BIN)/python scripts/audit.py build/audit/venv/bin build/audit

bench: setup ## Measure speed and latency on this machine
	@$(BIN)/dailies bench speed
	@$(BIN)/dailies bench reactions

lock: $(BIN)/uv ## Resolve dependencies anew: requirements.lock and Kafka's jars
	@$(BIN)/uv pip compile pyproject.toml --extra dev --upgrade --quiet --output-file requirements.lock \
	    --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" \
	    --python-version 3.11 --python-platform x86_64-manylinux_2_28
	@$(MAKE) --no-print-directory setup
	@$(BIN)/python -m scripts.lock_images
	@! grep -nE '://' requirements.lock docker/*.lock
	@$(BIN)/python scripts/lock_jars.py

clean: ## Remove what was installed and cached here; .dailies with its data stays
	@[ ! -x $(BIN)/dailies ] || $(BIN)/dailies down
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 …")'
	@$(PYTHON) -m venv .venv || { echo "The venv module is needed (Debian: apt-get install python3-venv)."; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(STAMPS)/lock: requirements.lock | $(BIN)/uv
	@echo "Installing what requirements.lock names …"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-deps --compile-bytecode -r requirements.lock
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/project: pyproject.toml $(STAMPS)/lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q schemas processors streams
	@touch $@

# Not fatal: whoever has a Kafka of their own needs none of it, and others hear it again at the first start.
$(STAMPS)/kafka: streams/local/jars.lock.toml streams/local/java.py $(STAMPS)/project
	@$(BIN)/python -m streams.local.aot && touch $@ || echo "Kafka is not prepared; going on without."
