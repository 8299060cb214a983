# The project's commands. `make help` lists them.
SHELL := /bin/bash
PYTHON_BIN := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help setup demo demo-yours test lint unit crash field bench bench-devices bench-journal lock clean

help: ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: ## the virtual environment with locked dependencies
	@scripts/setup demo

demo: setup ## the main job on a real product, from commit to devices, with a proof of it
	@.venv/bin/surefoot demo

demo-yours: setup ## the pipeline on your edited copy of the example: make demo-yours PRODUCT=FOLDER
	@test -n "$(PRODUCT)" || { echo "make demo-yours PRODUCT=FOLDER, with a copy of examples/thermostat"; exit 2; }
	@.venv/bin/surefoot demo --yours "$(PRODUCT)"

test: ## everything: style, types, architecture, all tests
	@scripts/setup test
	@$(MAKE) --no-print-directory lint unit

lint: ## ruff, mypy, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache

unit: ## the tests alone
	@.venv/bin/pytest -n 2 --dist loadfile

crash: ## SIGKILL at many points of deployments on real targets (slow)
	@scripts/setup test
	@.venv/bin/pytest -m crash tests/crash_real

field: ## twenty real swupdates in network namespaces, and every fault they can meet (slow; root)
	@scripts/setup field
	@FIELD_DEVICES=20 .venv/bin/pytest -m field tests/field tests/field_real

bench: ## speed, as ratios beside a reference in one run
	@scripts/setup test
	@$(PYTHON_BIN) benchmarks/run.py

bench-journal: ## the journal at a million facts (slow): appends, verification, start, memory
	@scripts/setup test
	@$(PYTHON_BIN) benchmarks/journal_large.py

bench-devices: ## a million devices (slow): polls, memory, waves, reports, downloads, a whole rollout
	@scripts/setup test
	@$(PYTHON_BIN) benchmarks/devices_large.py

lock: ## renew the locks (hashes, no hosts)
	@$(PYTHON_BIN) scripts/lock.py

clean: ## remove what was made here
	rm -rf .venv .demo build dist
