# Each target sets up what it needs by itself on a machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synthdata-ready
# Without byte code each process would compile torch's and diffusers' sources again: 10 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup quickstart test check smoke docs lock
setup: $(STAMP)

# uv installs the locked wheels several times faster than pip; it lives in the venv only.
$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==0.13.9
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --editable .
	touch $@

quickstart: $(STAMP)  ## the whole loop as a Prefect flow on the embedded data set
	$(BIN)/python -m flows.capstone --config configs/quickstart.yaml

smoke: $(STAMP)  ## the whole loop, tiny
	$(BIN)/synthdata run configs/smoke.yaml

test: $(STAMP)
	$(BIN)/python -m pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

lock: $(STAMP)  ## re-resolve; no index address is recorded unless one asks for it
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-header --all-extras --group dev \
		pyproject.toml -o requirements.lock
