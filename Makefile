# Everything a person or CI does with this repository. `make` alone lists it.
#
#   PYTHON   the interpreter to build the environment with: 3.11, 3.12 or 3.13 (default: the first one found)
#   VENV     where the environment lives (default: .venv)
#   JOBS     how many processes share the tests (default: one for each processor; 0: none but pytest's own)

PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= auto
ARGS   ?=

SHELL         := /bin/sh
.SHELLFLAGS   := -eu -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN      := $(VENV)/bin
STAMP    := $(VENV)/.installed
MEMBERS  := protocol enclave server client
METADATA := $(MEMBERS:%=%/pyproject.toml)
CODE     := $(sort $(dir $(wildcard $(MEMBERS:%=%/keymeld_*/py.typed)))) \
            $(sort $(dir $(wildcard tests/*.py examples/*.py benchmarks/*.py)))

# A Python given by name is used or refused; the default may be replaced by another one that fits.
NAMED   := $(if $(filter file default,$(origin PYTHON)),,$(PYTHON))
PYTHONS := $(or $(NAMED),python3 python3.11 python3.12 python3.13)
FITS    := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))
VERSION := import sys; print("%d.%d" % sys.version_info[:2])

# An environment that was moved, whose interpreter has gone, or is not of the version named, is built anew.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
else ifneq ($(shell $(BIN)/python -c 'import pip; print("runs")' 2>/dev/null),runs)
.PHONY: $(STAMP)
else ifneq ($(and $(NAMED),$(shell $(BIN)/python -c '$(VERSION)' 2>/dev/null)),$(and $(NAMED),$(shell "$(NAMED)" -c '$(VERSION)' 2>/dev/null)))
.PHONY: $(STAMP)
endif

# Whoever has nothing left to test takes half of what another still has before it.
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help env test coverage fuzz model lint format demo bench vectors diagrams lock clean

help:  ## list what can be made
	@echo "usage: make TARGET [PYTHON=python3.12] [ARGS='-k tickets']"; echo
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-10s %s\n", $$1, $$2}'

env: $(STAMP)  ## build .venv: the pinned dependencies and the four distributions, editable
	@:

$(STAMP): constraints.txt $(METADATA)
	@python=; for candidate in $(PYTHONS); do \
	  if "$$candidate" -c '$(FITS)' 2>/dev/null; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "error: Keymeld needs Python 3.11, 3.12 or 3.13; none of these is one: $(PYTHONS)" >&2; \
	  echo "       install one (Debian: apt-get install python3 python3-venv), or name it: make env PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi; \
	version=$$("$$python" -c '$(VERSION)'); \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing python$$version-venv, which this Python needs to make environments ..."; \
	    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "python$$version-venv"; } </dev/null >/dev/null; \
	  else \
	    echo "error: $$python cannot make environments: its ensurepip is missing" >&2; \
	    echo "       install it (Debian: apt-get install python$$version-venv), then run make env again" >&2; \
	    exit 1; \
	  fi; \
	fi; \
	if [ "$$(cat $(STAMP) 2>/dev/null)" != "$(CURDIR)" ] || ! $(BIN)/python -c 'import pip' 2>/dev/null \
	  || { [ -n "$(NAMED)" ] && [ "$$($(BIN)/python -c '$(VERSION)')" != "$$version" ]; }; then \
	  echo "building $(VENV) with Python $$version ..."; \
	  "$$python" -m venv --clear $(VENV); \
	fi
	@echo "installing the pinned dependencies ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@echo "installing keymeld-protocol, keymeld-enclave, keymeld-server, keymeld-client ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(MEMBERS:%=-e ./%)
	@echo "$(CURDIR)" > $@
	@echo "ready: $(VENV)"

test: env lint  ## run lint, then all tests (ARGS go to pytest)
	$(PYTEST) $(ARGS)

coverage: env  ## measure what the tests of one process reach; no package may fall below its floor
	$(PYTEST) -q -m 'not processes' --cov --cov-report= $(MEMBERS:%=tests/%) tests/host tests/promises $(ARGS)
	$(BIN)/python -m tests.covered

fuzz: env  ## feed the parsers of strangers' bytes for 5 minutes (ARGS=30: for 30)
	$(BIN)/python -m tests.fuzz $(ARGS)

model: env  ## explore the machines further than every run does (ARGS='signing quorum': that alone)
	$(BIN)/python -m tests.model $(ARGS)

lint: env  ## ruff, mypy and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-logo

format: env  ## let ruff format the code and mend what it can
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

demo: env  ## three people go offline, and their group still signs
	@$(BIN)/python examples/offline_trio.py $(ARGS)

bench: env  ## measure what benchmarks/README.md claims
	@$(BIN)/python -m benchmarks $(ARGS)

vectors: env  ## write tests/vectors/wire anew
	@$(BIN)/python tests/vectors/make_wire.py $(ARGS)

diagrams: env  ## draw the machines anew, in the specification and in their docstrings
	@$(BIN)/python tests/vectors/diagrams.py $(ARGS)

# All extras are pinned too: the environment has the terminal's libraries, which the client's SDK does without.
# Pins stay as they are unless a dependency demands otherwise; ARGS=--upgrade moves them all, ARGS='-P rich' one.
# The universal resolution holds on 3.11, 3.12 and 3.13 alike. No registry is named in the result.
lock: env  ## pin all dependencies anew, with hashes, in constraints.txt (ARGS=--upgrade for newer ones)
	@PATH="$(CURDIR)/$(BIN):$$PATH" uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	@PATH="$(CURDIR)/$(BIN):$$PATH" uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --no-emit-package keymeld-protocol \
	  --output-file constraints.txt --group dev --all-extras $(ARGS) $(METADATA)
	@echo "constraints.txt: $$(grep -c == constraints.txt) packages"

clean:  ## remove the environment, caches and everything else that was made here
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name '*.egg-info' -prune -exec rm -rf {} +
