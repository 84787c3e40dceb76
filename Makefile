# make up: a working contact centre. make test: the proof. Everything lives in this folder and ~/.cache/cti-server.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UI := cti/web/ui
UI_SOURCES := $(shell find $(UI) -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
ARGS ?=
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where bytecode is not kept (some images say so), every start of a process compiles half a thousand modules anew: a second each.
export PYTHONDONTWRITEBYTECODE :=

# What waits for nothing else is made at the same time: Debian's packages, Python's, the pages.
ifneq ($(filter test,$(MAKECMDGOALS)),)
MAKEFLAGS += -j3
endif

.PHONY: up demo test advisories check ui lint types unit doctor screenshots bench clean help

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: $(VENV)/.local ui ## start the whole centre on this machine (Ctrl-C stops it)
	@exec $(BIN)/cti up $(ARGS)

demo: $(VENV)/.local ui ## the same with simulated callers and agents, and four weeks behind them
	@exec $(BIN)/cti up --demo --history 28 $(ARGS)

test: $(VENV)/.dev ui test-tools ## prove it: lint, types, every test, real Asterisk, SIP, Postgres and browser
	@sh tests/every_lane.sh $(ARGS)

advisories: $(VENV)/.dev ui ## ask the advisory databases about everything we depend on
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tests/advisories.py

check: $(VENV)/.dev lint types unit ## fast: lint, types, and the tests that need nothing real and take no time

unit:
	CTI_HYPOTHESIS=brief $(BIN)/python -m pytest -q -n logical -m "not real and not long" $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

ui: cti/web/static/.built ## build the pages

cti/web/static/.built: $(UI_SOURCES) | $(VENV)/.local
	@echo "building the pages"
	cd $(UI) && npm ci --no-audit --no-fund --loglevel=error && npm run build --silent
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "what to do: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.local: pyproject.toml | $(VENV)/bin/python
	@echo "installing the product and its parts"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local]'
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.local
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[local,dev]'
	@touch $@

# SIPp and Chromium are Debian packages. Without root and without them, the tests that need them are skipped, and say so.
.PHONY: test-tools
test-tools:
	@sh tests/install_tools.sh

doctor: $(VENV)/.local ## check an installation
	@$(BIN)/cti doctor $(ARGS)

screenshots: $(VENV)/.dev ui ## pictures for docs/, taken from the running product
	$(BIN)/python docs/take_screenshots.py

bench: $(VENV)/.dev ## the benchmarks, side by side with the alternative
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove what was built here (not .data, the centre's own folder)
	rm -rf $(VENV) .build cti/web/static $(UI)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
