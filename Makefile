# Every verb makes the virtual environment it needs; you need Python >= 3.11 and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# FRESH=1 starts the demo anew; otherwise it goes on where it was.
FRESH ?=
DEMO_FOLDER ?= demo
PYTEST_ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_CONSTRAINT = $(CURDIR)/constraints.txt

.PHONY: help demo test lint format openapi bench-demo bench-measurement bench-nlu bench-optimizer bench-asynchrony bench-early-stopping clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "archfront needs Python >= 3.11; run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# torch comes first and alone, so that no other package chooses its build
$(VENV)/.installed-demo: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet torch
	$(BIN)/pip install --quiet --editable '.[server,worker,language]'
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet torch
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/.installed-demo ## search the NLU space for real and show the front (about ten minutes)
	$(BIN)/archfront demo --folder $(DEMO_FOLDER) $(if $(FRESH),--fresh,)

# pytest gives 5 where it was asked for no test: one of the two parts may be empty, not both;
# and 2 where it was interrupted
test: $(VENV)/.installed-dev ## run every test, those that time something by themselves
	@beside=0; alone=0; \
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m 'not alone' $(PYTEST_ARGS) || beside=$$?; \
	[ $$beside -ne 2 ] || exit 2; \
	$(BIN)/python -m pytest -m alone $(PYTEST_ARGS) || alone=$$?; \
	case $$beside.$$alone in 0.0|0.5|5.0) ;; *) echo "tests failed: $$beside beside others, $$alone alone"; exit 1;; esac

lint: $(VENV)/.installed-dev ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(VENV)/.installed-dev ## write docs/api/openapi.json anew
	$(BIN)/python -m service.api.openapi docs/api/openapi.json

bench-demo: $(VENV)/.installed-dev ## run the demo over three seeds (about twenty minutes)
	$(BIN)/python -m benchmarks.demo

bench-measurement: $(VENV)/.installed-dev ## how far one latency figure varies from run to run
	$(BIN)/python -m benchmarks.measurement

bench-nlu: $(VENV)/.installed-dev ## train a few arms of the NLU space over three seeds
	$(BIN)/python -m benchmarks.nlu_baseline

bench-optimizer: $(VENV)/.installed-dev ## our optimizer and its peers; goes on where it was (many hours)
	$(BIN)/python -m benchmarks.optimizer run --optimizers auto --trials 100
	$(BIN)/python -m benchmarks.optimizer peers
	$(BIN)/python -m benchmarks.optimizer table

bench-early-stopping: $(VENV)/.installed-dev ## what early stopping saves on recorded learning curves
	$(BIN)/python -m benchmarks.early_stopping replay

bench-asynchrony: $(VENV)/.installed-dev ## latency of a lease and idle share of workers (about two hours)
	$(BIN)/python -m benchmarks.asynchrony latency --loads steady brisk burst saturated
	$(BIN)/python -m benchmarks.asynchrony idle
	$(BIN)/python -m benchmarks.asynchrony table

clean: ## remove the virtual environment and the demo's folder
	rm -rf $(VENV) $(DEMO_FOLDER)
