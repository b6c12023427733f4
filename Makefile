# `make run` and `make test` do everything on a fresh machine that has Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
EXPERIMENT ?= ppo-cartpole
ARGS ?=
BIN := $(VENV)/bin
# A process for each CPU, of which a test uses one, and one more, because some tests wait; `make test ARGS=-n0` runs them
# in turn.
PARALLEL = --numprocesses $(shell $(BIN)/python -c "import os; print(min(4, os.cpu_count() or 1) + 1)") --dist worksteal

.PHONY: run test faults check bench docs clean

run: $(VENV)/.run
	$(BIN)/lab run $(EXPERIMENT) $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest -q $(PARALLEL) $(ARGS)

# The whole fault matrix, with 50 random kills for each kind of experiment, and a sweep's agent: about an hour.
faults: $(VENV)/.test
	$(BIN)/python -m pytest -q tests/faults tests/tracking/test_sweeps.py tests/house/test_earlier_versions.py \
		-m "slow or not slow" $(PARALLEL) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks $(ARGS)

# Tables of docs/experiments.md and README, from the configs and docs/results.yaml; docs/settings.md, from the classes.
docs: $(VENV)/.run
	$(BIN)/python docs/make_experiments.py
	$(BIN)/python docs/make_settings.py

clean:
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache

# One stamp for each set of extras: pip runs again only when what is to be installed has changed.
$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV), a few minutes the first time"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV), a few minutes the first time"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@ $(VENV)/.run

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV), a few minutes the first time"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,dev]"
	touch $@ $(VENV)/.run $(VENV)/.test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "the lab needs Python 3.11 or newer; name one with: make run PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
