# Navette: every command. Plain `make` lists them; each does whatever set-up it still lacks.
#
# Set-up, by stamps, so that a second run starts at once:
#
#   Python 3.11–3.13 ─▶ .venv + uv ─▶ locked packages (hashes) ─▶ this project, editable
#                                ├──▶ .venv-bench (dlt, for `make bench` alone)
#                                └──▶ .venv-tryton (a real ERP, for the demo and the tests)

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo demo-erp test test-slow test-long check format bench bench-live lock clean

# Where it is set, every command and every test process would compile anew what it imports.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := .venv-bench/.ready
TRYTON_READY := .venv-tryton/.ready
JOBS ?= 3
ROWS ?= 1000000
ARGS ?=

# uv knows nothing of pip's own settings (mirrors, certificates): where uv cannot fetch, pip does, slower.
# Compiled once, here: a command that had to compile what it imports (where PYTHONDONTWRITEBYTECODE is set, or the folder
# cannot be written) would start two to three times slower, each time.
UV_INSTALL = UV_NO_PROGRESS=1 $(BIN)/uv pip install --quiet --compile-bytecode --python $(1)/bin/python
LOCKED = $(call UV_INSTALL,$(1)) --require-hashes -r $(2) \
	|| { echo "uv could not install $(2); trying pip" >&2; $(1)/bin/python -m pip install --quiet --no-deps --require-hashes -r $(2); }

help:  ## this list
	@echo "Navette: make COMMAND"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | while IFS= read -r line; do \
		printf '  %-10s %s\n' "$${line%%:*}" "$${line##*## }"; done

setup: $(READY)  ## create .venv with the locked packages and this project (the others do it by themselves)

demo: $(READY)  ## load the systems of a made-up company and show what happened
	$(BIN)/python -m demo.run $(ARGS)

demo-erp: $(READY)  ## keep a real ERP (Tryton, on loopback), an accounting database and the CRM in step, both ways
	$(BIN)/python -m demo.erp $(ARGS)

PYTEST = $(BIN)/pytest -q -n $(JOBS) --no-loadscope-reorder

test: $(READY)  ## all tests but the slow and the long ones (JOBS=3 at a time; ARGS="-k name" for some)
	$(PYTEST) -m "not long and not slow" $(ARGS)

test-long: $(READY)  ## the long forms: many kills, millions of rows
	$(BIN)/pytest -q -m long --timeout 7200 $(ARGS)

test-slow: $(READY)  ## the tests that make test leaves out, but the long ones
	$(PYTEST) -m "slow and not long" $(ARGS)

check: $(READY)  ## everything: ruff, mypy, import-linter, make test and make test-slow
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(MAKE) --no-print-directory test
	$(MAKE) --no-print-directory test-slow

format: $(READY)  ## let ruff sort imports and mend what it can
	$(BIN)/ruff check --fix .

bench: $(READY) $(BENCH_READY)  ## measure against a floor made by hand and dlt (ROWS=1000000)
	$(BIN)/python -m benchmarks.run --rows $(ROWS) $(ARGS)

bench-live: $(READY)  ## measure how long one change takes, each way, at rest and under load
	$(BIN)/python -m benchmarks.live.run $(ARGS)

lock: $(READY)  ## write requirements/*.txt anew (ARGS=--upgrade: with newer versions)
	@for name in uv bench tryton; do $(COMPILE) requirements/$$name.in -o requirements/$$name.txt $(ARGS) || exit 1; done
	@$(COMPILE) pyproject.toml --extra dev -o requirements/lock.txt $(ARGS)

clean:  ## remove environments, caches and the demo's data (your own store in .navette stays)
	@for at in demo demo/tryton; do \
		if [ -x $(BIN)/navette ] && [ -d $$at/.navette ]; then $(BIN)/navette --project $$at store stop || true; fi; done
	rm -rf $(VENV) .venv-bench .venv-tryton demo/.navette demo/data demo/tryton/.navette .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

# A version manager's shim may bear the right name and still not run: only a candidate that answers is taken.
$(VENV)/.uv: requirements/uv.txt
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3 /usr/bin/python3; do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
		then found=$$python; break; fi; done; \
	if [ -z "$$found" ]; then \
		echo "Navette needs Python 3.11, 3.12 or 3.13 with its venv module; none of python3.11, python3.12, python3.13" >&2; \
		echo "and python3 is one. Install it (Debian: python3.11 and python3.11-venv) or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; fi; \
	echo "creating $(VENV) with $$($$found --version)"; \
	"$$found" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV)/.locked: requirements/lock.txt $(VENV)/.uv
	@echo "installing the locked packages"
	@$(call LOCKED,$(VENV),requirements/lock.txt)
	@touch $@

$(READY): pyproject.toml $(VENV)/.locked
	@$(call UV_INSTALL,$(VENV)) --no-deps --no-build-isolation --offline -e .
	@$(BIN)/python -m compileall -q mappings connectors crm_store pipelines
	@touch $@

$(BENCH_READY): requirements/bench.txt $(VENV)/.uv
	@echo "installing dlt for the bench, in an environment of its own"
	@$(BIN)/python -m venv .venv-bench
	@$(call LOCKED,.venv-bench,requirements/bench.txt)
	@touch $@

# Asked for by demo/tryton_server.py, whoever starts it: a test, the demo, a bench.
$(TRYTON_READY): requirements/tryton.txt $(VENV)/.uv
	@echo "installing Tryton, in an environment of its own"
	@$(BIN)/python -m venv .venv-tryton
	@$(call LOCKED,.venv-tryton,requirements/tryton.txt)
	@touch $@
