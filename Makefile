# `make help` lists what can be made. Needs Python 3.11 or newer, make and git, and nothing else.

SHELL := /bin/sh
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
# Tests wait for brokers and groups: more processes than CPUs. They start some hundred processes of the same modules,
# whose bytecode is kept, also where the environment is against it.
TEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test test-all chaos bench bench-million check docs clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/run.stamp ## run everything once; PHOTOS=folder takes yours in place of samples
	@$(BIN)/darkroom demo $(if $(PHOTOS),--photos "$(PHOTOS)")

test: .venv/dev.stamp ## run all tests that need no system package
	@$(TEST) -m "not system and not chaos"

test-all: .venv/dev.stamp ## run all tests; those marked `system` need exiftool, ImageMagick, vips, Chromium, kcat, curl, javac and libfuse3
	@$(TEST) -m "not chaos"

chaos: .venv/dev.stamp ## kill and freeze every kind of part in the middle of jobs; under 30 minutes
	@$(BIN)/python -m pytest -m chaos -s

bench: .venv/dev.stamp ## measure speed and memory, as ratios within one run; under 20 minutes
	@$(BIN)/python -m benchmarks

bench-million: .venv/dev.stamp ## a job of a million files: as fast at the end as at the beginning, in flat memory; about an hour
	@$(BIN)/python -m benchmarks million

check: .venv/dev.stamp ## lint, formatting, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: .venv/dev.stamp ## write docs/topics.md, and the flow in README.md, from topics/
	@$(BIN)/python docs/generate_topics.py

clean: ## remove what was installed, caches, and the data of the demo
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info .darkroom/demo
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv: .venv/run.stamp ## install Darkroom into .venv

.venv/python.stamp:
	@test -n "$(PYTHON)" || { echo "Darkroom needs Python 3.11 or newer. Install it, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing into .venv ..."
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run.stamp: .venv/python.stamp pyproject.toml constraints.txt
	@$(INSTALL) -e ".[models]"
	@touch $@

.venv/dev.stamp: .venv/python.stamp pyproject.toml constraints.txt
	@$(INSTALL) -e ".[dev,models,otel]"
	@touch $@ .venv/run.stamp
