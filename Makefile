# `make run` and `make test` do everything on a fresh machine that has Python 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
EXPERIMENT ?= ppo-cartpole
ARGS ?=
BIN := $(VENV)/bin
# A process for each CPU, of which a test uses one, and one more, because some tests wait; `make test ARGS=-n0` runs them
# in turn.
PARALLEL = --numprocesses $(shell $(BIN)/python -c "import os; print(min(4, os.cpu_count() or 1) + 1)") --dist worksteal

# Tests start many processes of Python: with this variable, each would compile the lab's modules anew.
COMPILED_ONCE = PYTHONDONTWRITEBYTECODE=

.PHONY: run test faults check bench gpu docs clean

run: $(VENV)/.run
	$(BIN)/lab run $(EXPERIMENT) $(ARGS)

test: $(VENV)/.test
	@echo "about a quarter of an hour on two cores; slower tests are in make faults. The report's page is opened in Chromium,"
	@echo "where /usr/bin/chromium is installed. Reasons of skipped tests stand at the end."
	$(COMPILED_ONCE) $(BIN)/python -m pytest -q -rs $(PARALLEL) $(ARGS)

# The whole fault matrix, with 50 random kills for each kind of experiment, a sweep's agent, and all other tests that are
# too slow for `make test`: more than half an hour.
faults: $(VENV)/.test
	$(COMPILED_ONCE) $(BIN)/python -m pytest -q -m "slow or fault" $(PARALLEL) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks $(ARGS)

# Everything that needs a GPU, in eight minutes: the tests of tests/gpu, short trainings, resuming, CUDA graphs; all
# figures go to gpu.json. `make gpu ARGS="--device cpu"` rehearses it without a GPU. The environment is its own, with the
# torch that is there if that sees the GPU.
gpu:
	@since=$$(date +%s); $(PYTHON) benchmarks/gpu/install.py .venv-gpu $(ARGS) && \
		.venv-gpu/bin/python -m benchmarks.gpu --since $$since $(ARGS)

# Tables of docs/experiments.md and README, from the configs and docs/results.yaml; docs/settings.md, from the classes.
docs: $(VENV)/.run
	$(BIN)/python docs/make_experiments.py
	$(BIN)/python docs/make_settings.py
	$(BIN)/python docs/make_techniques.py

clean:
	rm -rf $(VENV) .venv-gpu dist build .pytest_cache .mypy_cache .ruff_cache

QUIETLY = --quiet --constraint constraints.txt
SAID = pip installs the tested versions into $(VENV); the first time that takes minutes (with CUDA gigabytes) in silence:
# One stamp for each set of extras: pip runs again only when what is to be installed has changed.
$(VENV)/.run: pyproject.toml constraints.txt | $(BIN)/python
	@echo "$(SAID) PyTorch, Lightning, Gymnasium, Stable-Baselines3, W&B"
	@$(BIN)/python -m pip install $(QUIETLY) --editable .
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	@echo "$(SAID) what the lab and its tests need: PyTorch, Lightning, Box2D, pytest, Playwright"
	@$(BIN)/python -m pip install $(QUIETLY) --editable ".[test]"
	touch $@ $(VENV)/.run

$(VENV)/.bench: pyproject.toml constraints.txt | $(BIN)/python
	@echo "$(SAID) what the lab and its tests need, and the peers of the benchmarks: JAX, SBX, rejax, pythae"
	@$(BIN)/python -m pip install $(QUIETLY) --editable ".[test,bench]"
	touch $@ $(VENV)/.run $(VENV)/.test

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "$(SAID) what the lab, its tests and checks need: PyTorch, Lightning, pytest, ruff, mypy"
	@$(BIN)/python -m pip install $(QUIETLY) --editable ".[test,dev]"
	touch $@ $(VENV)/.run $(VENV)/.test

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "the lab needs Python 3.11 or newer; name one with: make run PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
