# `make` lists what there is. Needs Python 3.11 or newer and a C toolchain; everything else is set up below .venv.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Threads that wait asleep: beside other programs, PyTorch is several times faster so.
export OMP_WAIT_POLICY := PASSIVE
# The tests wait for servers and for children half of their time. Each process has servers of its own and about 2 GiB.
TEST_PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix serve migrate bench contract clients openapi-lint up browser clean

help: ## list what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## set up .venv, again only when pyproject.toml or requirements.lock changed

$(READY): pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]' -c requirements.lock
	@touch $@

demo: setup ## train, prune and measure a small network; or MODEL=my.onnx [CALIBRATION=images.zip] [TARGET=0.7] [RECIPE=r.json]
	$(BIN)/python -m examples.demo --out demo-output \
	  $(if $(MODEL),--model '$(MODEL)') $(if $(CALIBRATION),--calibration '$(CALIBRATION)') \
	  $(if $(TARGET),--target '$(TARGET)') $(if $(RECIPE),--recipe '$(RECIPE)')

# One thread each. And what a child has compiled, the next one finds: tests start a hundred.
test: export OMP_NUM_THREADS := 1
test: export PYTHONDONTWRITEBYTECODE :=
test: setup browser ## run every test, with real servers; some only: make test ONLY="tests/core -k lease"
	$(BIN)/python -m pytest $(or $(ONLY),-n $(TEST_PROCESSES) --dist loadscope --no-loadscope-reorder)

check: setup ## lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: setup ## format, and repair what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

serve: setup ## run the service on this machine until stopped
	$(BIN)/secateur-server

migrate: setup ## bring the database of the settings up to date, and make its admin key
	$(BIN)/python -m app.prepare

bench: setup ## measure the service: what it costs, how quick its lists are, whether it keeps its promises
	$(BIN)/python -m benchmarks.api
	$(BIN)/python -m benchmarks.lists
	$(BIN)/python -m benchmarks.promises

contract: setup ## hold the service to its OpenAPI document in 10,000 generated cases
	$(BIN)/python -m benchmarks.contract

clients: setup ## generate a Python and a TypeScript client and let both run the quick start (needs Node.js)
	$(BIN)/python -m benchmarks.clients

openapi-lint: setup ## lint the OpenAPI document (needs Node.js)
	$(BIN)/python -m benchmarks.clients.lint

up: ## run the scale-out service in containers (needs Docker and a .env, see docker-compose.yml)
	docker compose up --build

browser: setup
	@bash .ci/browser $(BIN)/python

clean: ## remove what the commands above have made
	rm -rf $(VENV) demo-output build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
