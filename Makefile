# Everything a person types here. `make help` lists it; nothing but Python 3.11 (with venv) and make is needed.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
NAME ?= overhead
ARGS ?=
PROCESSES ?= 2
PYTEST ?= $(BIN)/python -m pytest
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# Wheels only, named by hash; pip's remarks on its own future are left out.
INSTALL := $(BIN)/python -W ignore -m pip install --only-binary=:all: --require-hashes --progress-bar off
# `srt` (plain Python, wanted by Vosk) is published as source alone; the locked setuptools build it.
INSTALL_MORE := $(INSTALL) --no-binary=srt --use-pep517 --no-build-isolation
# One line per package, so that a slow line shows that something happens.
SHOW := sed -u -n -e 's/^Collecting \([^ ]*\).*/  \1/p' -e 's/^Installing collected.*/  unpacking …/p'
COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

.PHONY: help demo up engines test check faults soak bench screenshots lock wheels build clean

help: ## Show this list
	@echo "clustercore: private speech, language and data work on every machine you own"
	@echo
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r target text; \
		do printf '%-18s %s\n' "$$target" "$$text"; done

demo: $(VENV)/.base ## Transcribe the bundled recording (or ARGS=FILE) on two nodes, and show how
	@$(MAKE) -s $(VENV)/.speech || echo "faster-whisper cannot be installed here (see above): PocketSphinx will serve"
	@$(BIN)/clustercore demo $(ARGS)

up: $(VENV)/.base ## Start the hub and one node here (ARGS="--listen ADDRESS" for other machines)
	@$(BIN)/clustercore up $(ARGS)

engines: $(VENV)/.engines ## Add the faster-whisper and Vosk engines to this installation

test: $(VENV)/.check ## Run the tests that CI runs (ARGS="-k word" for some)
	@$(PYTEST) -n $(PROCESSES) --no-loadscope-reorder -m "not fault" $(ARGS)

check: $(VENV)/.check ## Lint, types, import contracts and architecture tests
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(PYTEST) -q tests/architecture

faults: $(VENV)/.test ## Kill and starve things, the slow ways too; every outcome is written as JSON
	@CLUSTERCORE_FAULT_RESULTS=benchmarks/results/faults $(PYTEST) tests/faults -m "fault or not fault" $(ARGS)

soak: $(VENV)/.test ## Ten minutes of faults in a row by a seed, as root (ARGS="--seed N --seconds 600")
	@$(BIN)/python -m tests.faults.soak $(ARGS)

bench: $(VENV)/.test ## Run one benchmark, NAME=overhead, throughput, queueing, canvas, speedup, watchers, uploads, lists, pooler, first_result, latency, ears, idle or growth (ARGS=--strict: its bars must hold)
	@$(BIN)/python -m benchmarks $(NAME) $(ARGS)

screenshots: $(VENV)/.test ## Take the pictures of docs/screenshots anew (needs Chromium)
	@$(BIN)/python -m tests.web.screenshots

lock: $(VENV)/.check ## Resolve the locked requirements again (UPGRADE=1 for newer versions)
	@$(COMPILE) --universal --only-binary :all: --no-binary srt pyproject.toml requirements/build.in \
		--extra test --extra check --output-file requirements/lock-check.txt
	@$(COMPILE) --universal --only-binary :all: --no-binary srt pyproject.toml requirements/build.in \
		--constraint requirements/lock-check.txt --extra test --output-file requirements/lock-test.txt
	@$(COMPILE) --universal --only-binary :all: --no-binary srt pyproject.toml requirements/build.in \
		--constraint requirements/lock-check.txt --extra all --output-file requirements/lock-engines.txt
	@$(COMPILE) --universal --only-binary :all: pyproject.toml requirements/build.in \
		--constraint requirements/lock-check.txt --extra faster-whisper --output-file requirements/lock-speech.txt
	@$(COMPILE) --universal --only-binary :all: pyproject.toml requirements/build.in \
		--constraint requirements/lock-check.txt --output-file requirements/lock.txt
	@$(COMPILE) --python-platform x86_64-pc-windows-msvc --only-binary :all: pyproject.toml \
		--constraint requirements/lock-check.txt --extra node --output-file requirements/node-windows-amd64.txt
	@$(COMPILE) --python-platform aarch64-manylinux_2_28 --only-binary :all: pyproject.toml \
		--constraint requirements/lock-check.txt --extra node --output-file requirements/node-linux-arm64.txt
	@echo "Written: requirements/*.txt"

wheels: $(VENV)/.base ## Prove that a node installs from wheels on Windows and ARM64 Linux (downloads 340 MB, keeps none)
	@requirements/prove_wheels $(BIN)/python

build: $(VENV)/.test ## Build the wheel into dist/
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

clean: ## Remove what these commands made here; the data directory stays
	@rm -rf $(VENV) build dist *.egg-info .cache .mypy_cache .ruff_cache .import_linter_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@python=$$(for name in python3.11 python3.12 python3.13 python3; do \
		"$$name" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$name" && break; \
	done || true); \
	test -n "$$python" || { echo "Python 3.11 or newer is needed: apt install python3 python3-venv make" >&2; exit 1; }; \
	echo "Making $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV) || { echo "venv is missing: apt install python3-venv" >&2; exit 1; }
	@touch $@

# Each list holds the ones before it, at the same versions.
$(VENV)/.base: requirements/lock.txt pyproject.toml | $(VENV)/.made
	@echo "Installing what clustercore needs (about 200 MB the first time)"
	@$(INSTALL) -r requirements/lock.txt | $(SHOW)
	@$(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.speech: requirements/lock-speech.txt $(VENV)/.base
	@test -e $(VENV)/.engines -o -e $(VENV)/.test || { echo "Installing faster-whisper (about 80 MB the first time)"; \
		$(INSTALL) -r requirements/lock-speech.txt | $(SHOW); }
	@touch $@

$(VENV)/.engines: requirements/lock-engines.txt $(VENV)/.base
	@echo "Installing the engines"
	@$(INSTALL_MORE) -r requirements/lock-engines.txt | $(SHOW)
	@touch $@

$(VENV)/.test: requirements/lock-test.txt $(VENV)/.base
	@echo "Installing what the tests need"
	@$(INSTALL_MORE) -r requirements/lock-test.txt | $(SHOW)
	@touch $@

$(VENV)/.check: requirements/lock-check.txt $(VENV)/.test
	@echo "Installing the linters"
	@$(INSTALL_MORE) -r requirements/lock-check.txt | $(SHOW)
	@touch $@
