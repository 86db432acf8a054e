# Two commands on a fresh machine: `make demo` and `make test`. `make help` lists the others.

PYTHON ?= python3
BIN := .venv/bin
# Each test file's processes keep to one core: the suite runs two at a time.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check lint soak bench docs lock clean

help: ## List what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; exit 5; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'Python comes without venv here: apt-get install python3-venv' >&2; exit 5; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/installed ## Run the main job on a throw-away repository, without Docker
	@$(BIN)/git-scopecraft demo

test: .venv/installed ## Set up the machine and pass every test it can run
	@tests/machine.sh $(if $(REQUIRE),,|| echo 'Tests that need what is missing are skipped below, each with its reason.' >&2)
	$(PYTEST) $(if $(REQUIRE),--require-everything) $(ARGS)

check: lint test ## What has to pass before a change lands

lint: .venv/installed ## Check style, types, layers and generated documentation
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/generate.py --check

soak: .venv/installed ## Kill, crowd and fill for longer than every change can wait for
	SOAK_KILLS=200 SOAK_SESSIONS=30 SOAK_COMMANDS=200 SOAK_LINES=200000 \
	  $(BIN)/pytest tests/test_kills.py tests/test_full_queue.py tests/test_big_sessions.py $(ARGS)

bench: .venv/installed ## Measure speed, as ratios within this run
	$(BIN)/python -m benchmarks

docs: .venv/installed ## Write the generated parts of the documentation
	$(BIN)/python docs/generate.py
	$(BIN)/python -m tests.cli.renew

lock: .venv/installed ## Resolve the dependencies anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url \
	  --no-annotate --no-header --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove what was made here
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
