# Everything runs in .venv, which the first target to need it makes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test lint render docs floors

setup: .venv/ready

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[all,dev]'
	touch $@

demo: .venv/ready
	$(BIN)/evoked demo demo

# By file, so that the runs that a file's tests share are made once; in the order of tests/conftest.py.
test: lint docs
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/render.py --check

# The tables in README, CONTRIBUTING, docs/ and results/, from the code and the measurements.
render: .venv/ready
	$(BIN)/python scripts/render.py

# The documentation site, in build/site; fetches nothing, and fails at a warning.
docs: .venv/ready
	$(BIN)/python scripts/build_site.py

floors:
	PYTHON=$(PYTHON) scripts/try_floors.sh
