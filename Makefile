# make run    install what is missing and start a trial system on this machine
# make test   install what the tests need and run them all
# make check  format, lint, types, floors, documentation
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q install

.PHONY: run install test check bench docs clean

run: install
	@$(BIN)/posthouse trial

install: $(VENV)/installed

test: $(VENV)/installed-tests
	@bash tests/install-peers
	$(BIN)/python -m pytest -n 2 $(TESTS)

check: $(VENV)/installed-tests
	$(BIN)/ruff format --check posthouse tests bench
	$(BIN)/ruff check posthouse tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m posthouse.operations.documentation --check

bench: $(VENV)/installed-tests
	$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/installed
	$(BIN)/python -m posthouse.operations.documentation

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Posthouse needs Python 3.11 or newer; call make with PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python tools/link.py
	@touch $@

$(VENV)/installed: $(VENV)/made requirements/runtime.lock
	@echo "Installing Posthouse into $(VENV) ..."
	@$(PIP) --require-hashes -r requirements/runtime.lock
	@touch $@

$(VENV)/installed-tests: $(VENV)/installed requirements/test.lock
	@echo "Installing what the tests need ..."
	@$(PIP) --require-hashes -r requirements/test.lock
	@touch $@

clean:
	rm -rf $(VENV) var build dist *.egg-info
