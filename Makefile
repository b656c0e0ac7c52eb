# Two commands: `make rum` (the main job) and `make test`. Each makes .venv from
# requirements.lock (versions and hashes) when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: rum test lint lock clean

rum: .venv/installed
	$(BIN)/python -m experiments.rum

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"rum_jax needs Python 3.11 or newer, found {v}; try make PYTHON=python3.12")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

lint: .venv/installed
	$(BIN)/ruff check .

# Needs uv; run it after a change of the dependencies in pyproject.toml.
lock:
	uv pip compile pyproject.toml --extra test --universal --generate-hashes \
	  --python-version 3.11 --no-header --no-annotate --quiet -o requirements.lock

clean:
	rm -rf .venv
