# Two commands: `make rum` (the main job) and `make test`. Each makes .venv from
# requirements.lock (versions and hashes) when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := install --quiet --require-hashes --requirement requirements.lock
COMPILE := uv pip compile --universal --generate-hashes --python-version 3.11 \
  --no-header --no-annotate --quiet
# Files of tests that compile little, for `make quick`.
QUICK := $(addprefix tests/,test_architecture.py test_checks.py test_losses.py test_optimizers.py \
  test_trees.py algorithms/test_refusals.py \
  datasets/test_decoded.py datasets/test_splits.py \
  datasets/test_tiny_imagenet.py entanglement/test_distances.py \
  evaluation/test_metrics.py memorization/test_comparison.py \
  memorization/test_score_files.py memorization/test_shards.py \
  pipeline/test_recipes.py pipeline/test_results.py \
  reporting/test_markdown.py search storage)

.PHONY: gpu rum test quick docs notebooks lint types lock clean

rum: .venv/installed
	$(BIN)/python -m experiments.rum

test: lint
	$(BIN)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

# What a change of a line most often breaks, in less than a minute.
quick: lint
	$(BIN)/python -m pytest --quiet --numprocesses=auto --maxprocesses=4 --dist=loadfile $(QUICK)

# The pages in docs/, into docs/_build/html; reads nothing from the network.
docs: .venv/docs-installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs docs/_build/html

# Runs the notebooks in colabs/, all of them.
notebooks: .venv/installed
	$(BIN)/python -m tests.notebooks

# uv takes a fifth of pip's time; where it cannot be had or reaches no index, pip
# installs the same files.
.venv/installed: requirements.lock requirements-uv.lock pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version.split()[0]; sys.exit(sys.version_info < (3, 11) and f"rum_jax needs Python 3.11 or newer, found {v}; try make PYTHON=python3.12")'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-uv.lock \
	  && $(BIN)/uv pip $(INSTALL) --python $(BIN)/python \
	  || $(BIN)/pip $(INSTALL)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv/docs-installed: requirements-docs.lock .venv/installed
	$(BIN)/pip install --quiet --require-hashes --requirement requirements-docs.lock
	touch $@

lint: types
	$(BIN)/ruff check .

types: .venv/installed
	$(BIN)/pyrefly check

# Needs uv; run it after a change of the dependencies in pyproject.toml.
lock:
	$(COMPILE) pyproject.toml --extra test --extra tfds -o requirements.lock
	$(COMPILE) pyproject.toml --extra docs --constraint requirements.lock \
	  -o requirements-docs.lock
	echo uv | $(COMPILE) - -o requirements-uv.lock

# On a machine with a GPU, Python 3.12, jax with CUDA and NumPy; no network, no
# .venv. What is missing there lies in $(GPU): data sets, or their parts from
# experiments.gpu_data, and packages from experiments.gpu_wheels, which come
# behind the machine's own. PARTS=speed needs no data.
GPU ?= .gpu
OUT ?= gpu_out
PARTS ?= speed,models,table
GPU_FLAGS ?=
gpu:
	$(PYTHON) -c "import runpy, sys; sys.path.append('$(GPU)/wheels'); runpy.run_module('experiments.gpu', run_name='__main__', alter_sys=True)" \
	  --out=$(OUT) --run_parts=$(PARTS) --data_dir=$(GPU) --workdir=$(GPU)/work \
	  --compilation_cache=$(GPU)/cache $(GPU_FLAGS)

clean:
	rm -rf .venv
