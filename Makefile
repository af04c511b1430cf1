# Two commands do all the set-up: `make lab` and `make test`. Everything lands in this folder.
PYTHON ?= python3
LAB := .venv
FULL := .venv-full
# Tests wait for processes that they start: three at once keep two cores busy.
JOBS ?= 3

.DEFAULT_GOAL := help
.PHONY: help lab quick test lint check-base wheel bench docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

lab: $(LAB)/ready  ## open the console; without a terminal, run the quick benchmark
	@if [ -t 0 ] && [ -t 1 ]; then $(LAB)/bin/edgelab; else $(LAB)/bin/edgelab run quick; fi

quick: $(LAB)/ready  ## run the quick benchmark and print its table
	@$(LAB)/bin/edgelab run quick

test: $(FULL)/ready  ## install everything, run all tests
	$(FULL)/bin/python -m pytest -n $(JOBS)

lint: $(FULL)/ready  ## style, types, import rules
	$(FULL)/bin/ruff check .
	$(FULL)/bin/ruff format --check .
	$(FULL)/bin/mypy
	$(FULL)/bin/lint-imports

check-base: $(LAB)/ready  ## the base install is free of torch and small
	@$(FULL)/bin/python -m tests.check_base $(LAB)

wheel: $(FULL)/ready  ## build dist/*.whl
	rm -rf build dist
	$(FULL)/bin/python -m build --wheel --outdir dist . > /dev/null

bench: $(FULL)/ready  ## measure against the budgets; writes docs/benchmarks.md
	$(FULL)/bin/python -m benchmarks

docs: $(FULL)/ready  ## write the pages that are made from code
	$(FULL)/bin/python -m screens.actions > docs/keys.md

clean:  ## remove environments and everything built
	rm -rf $(LAB) $(FULL) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(LAB)/ready: pyproject.toml
	@$(call make_environment,$(LAB))
	$(LAB)/bin/pip install --quiet --disable-pip-version-check --editable .
	@# Python 3.11 puts setuptools into every environment; nothing here needs its 10 MB.
	@$(LAB)/bin/pip uninstall --quiet --disable-pip-version-check --yes setuptools 2> /dev/null
	@touch $@

$(FULL)/ready: pyproject.toml
	@$(call make_environment,$(FULL))
	$(FULL)/bin/pip install --quiet --disable-pip-version-check --editable '.[full,test]'
	@touch $@

define make_environment
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || { echo "edgelab needs Python 3.11 or newer: make PYTHON=python3.11 $@"; exit 1; }; \
$(PYTHON) -m venv $(1) > /dev/null \
  || { rm -rf $(1); echo "Python has no venv: sudo apt install python3-venv"; exit 1; }
endef
