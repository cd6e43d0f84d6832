# From a bare machine with python3 (3.11 or newer), make and a package index:
#   make demo    checks the pair in fixtures/
#   make test    lint, types and the whole test suite
# Another interpreter: make PYTHON=python3.12 demo

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What looks at the supply chain lives apart, so that it is no part of what it lists.
SUPPLY := .venv-supply
PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench sbom audit clean

help:
	@echo "make demo    install into $(VENV) and check the pair in fixtures/"
	@echo "make test    install with the test extras; run ruff, mypy and the whole test suite"
	@echo "make lint    ruff and mypy only"
	@echo "make format  let ruff put the sources into shape"
	@echo "make bench   every benchmark under benchmarks/, tables on the terminal"
	@echo "make sbom    the bill of materials of $(VENV) as CycloneDX, in build/sbom.cdx.json"
	@echo "make audit   known vulnerabilities of the tested set (asks the advisories of PyPI)"
	@echo "make clean   remove $(VENV), caches and builds"

# Exit code 1 says that the pair has a finding of severity error, which is an answer, not a failure.
demo: $(VENV)/.installed
	@$(BIN)/wan-prep check fixtures/reference.png fixtures/driving.mp4 || test $$? -eq 1

# A worker a core: more than four would each load the networks for little to do. A module stays
# with one worker, so that what it makes is made once. One process, to debug: pytest -p no:xdist
test: lint
	$(BIN)/python -m pytest -ra -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict src

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-test
	@set -e; for script in benchmarks/[!_]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

sbom: $(VENV)/.installed $(SUPPLY)/.installed
	$(SUPPLY)/bin/python tools/sbom.py $(BIN)/python build/sbom.cdx.json

# Strict: a package whose advisories cannot be had is a failure, never a silent pass.
audit: $(SUPPLY)/.installed
	$(SUPPLY)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off -r constraints.txt

clean:
	rm -rf $(VENV) $(SUPPLY) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name .git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@command -v "$(PYTHON)" >/dev/null || { echo "error: no $(PYTHON) on PATH; wan-prep needs Python 3.11 or newer (make PYTHON=/path/to/python3.12 …)" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: wan-prep needs Python 3.11 or newer, $(PYTHON) is $$("$(PYTHON)" -c 'import platform; print(platform.python_version())'); name another: make PYTHON=python3.12 …" >&2; exit 2; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { echo "error: $(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "making $(VENV) …"
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing wan-prep into $(VENV) (the first time takes a minute or two) …"
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing wan-prep with its test extras into $(VENV) …"
	@$(PIP_INSTALL) -e '.[test]'
	@touch $@

$(SUPPLY)/.installed: $(VENV)/.created
	@echo "installing cyclonedx-bom and pip-audit into $(SUPPLY) …"
	@"$(PYTHON)" -m venv $(SUPPLY)
	@$(SUPPLY)/bin/python -m pip install -qq --disable-pip-version-check 'cyclonedx-bom>=7,<8' 'pip-audit>=2.7,<3'
	@touch $@
