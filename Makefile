# Two commands set up everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# what an installation is made of: the package's metadata and the browser components
SOURCES := pyproject.toml hatch_build.py $(shell find app/frontend -type f -not -path '*/node_modules/*')

# the tests start hundreds of processes: each would compile everything anew
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint types unit e2e browser format clean

## Runs a multi-agent program against the offline provider and opens the app on it.
demo: $(VENV)/.installed
	$(BIN)/tracelake demo

## Everything that CI runs: lint, types, every test, the browser included.
test: lint types unit e2e

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/pyright

unit: $(VENV)/.installed-dev
	TZ=Pacific/Auckland $(BIN)/pytest -m "not e2e" -n 2

e2e: $(VENV)/.installed-dev browser
	TZ=Pacific/Auckland $(BIN)/pytest -m "e2e and not alone" -n 3 --dist loadfile
	TZ=Pacific/Auckland $(BIN)/pytest -m "e2e and alone"

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

## The browser tests drive Debian's Chromium.
browser:
	@command -v chromium >/dev/null || { \
	  echo "installing chromium for the browser tests"; \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q chromium; } \
	  || { echo "install chromium, then run make again" >&2; exit 1; }

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.installed: $(BIN)/python $(SOURCES) constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python $(SOURCES) constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) tracelake/_ui app/frontend/node_modules dist build
