# Two commands do all the set-up: `make demo` and `make test`. Everything lands in .venv; nothing outside this folder
# is touched. PYTHON picks another interpreter (3.11 or later), FILE another file for the demo, ARGS further options.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FILE ?=
ARGS ?=

# Caches of what we run belong in here too: the home may be missing or not ours to write to.
export MPLCONFIGDIR ?= $(CURDIR)/$(VENV)/cache/matplotlib
export HYPOTHESIS_STORAGE_DIRECTORY ?= $(CURDIR)/$(VENV)/cache/hypothesis
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
PIP := $(BIN)/python -m pip
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
PIP += --no-cache-dir
endif

# A copied or moved tree brings a .venv whose scripts still point to where it came from: make it anew.
# So does one made with another interpreter than the one asked for.
VERSION := import sys; print(sys.version_info[:2])
OURS := $(shell grep -qF "$(CURDIR)/$(VENV)/bin/python" $(BIN)/rawproto 2>/dev/null && \
	test "$$($(BIN)/python -c '$(VERSION)')" = "$$($(if $(filter command line,$(origin PYTHON)),$(PYTHON),$(BIN)/python) -c '$(VERSION)')" && \
	echo yes)
ifneq ($(OURS),yes)
.PHONY: $(STAMP)
endif

.PHONY: help demo test check format bench fuzz docs man screens clean venv

help:
	@echo "make demo [FILE=path] [ARGS=...]  a file crosses a bad link on a protocol of its own"
	@echo "make test [ARGS=...]              the tests; ARGS=--require-netns makes a missing namespace a failure"
	@echo "make test-each                    the tests with CPython 3.11, 3.12 and 3.13, those that are here"
	@echo "make check                        format, lint, types, architecture"
	@echo "make bench [ARGS=room]            benchmarks against rivals, as ratios of one run; all: docs/benchmarks.md"
	@echo "make dist-check                   wheel and sdist, installed in an empty environment, the demo from there"
	@echo "make fuzz [ARGS=...]              coverage-guided fuzzing; ARGS='header -atheris_runs=100000', for example"
	@echo "make man [DIR=folder]             the manual pages of the command, into build/man"
	@echo "make docs | screens | format | venv | clean"

demo: $(STAMP)
	@exec $(BIN)/rawproto demo $(if $(FILE),--file "$(FILE)") $(ARGS)

test: $(STAMP)
	@exec $(BIN)/python -m pytest $(ARGS)

# Each interpreter that is here, in an environment of its own.
test-each:
	@for python in python3.11 python3.12 python3.13; do \
		$$python -c 'import sys' 2>/dev/null || { echo "no $$python here"; continue; }; \
		echo "with $$python"; \
		$(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$python || exit 1; \
	done

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_import_cost.py

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP)
	@exec $(BIN)/python -m benchmarks $(or $(ARGS),--page)

dist-check:
	@exec .ci/dist-check

fuzz: $(STAMP)
	$(PIP) install --quiet -c constraints.txt atheris
	@exec $(BIN)/python tests/fuzz/wire.py $(if $(ARGS),$(ARGS),datagram -atheris_runs=1000000 -max_len=400)

docs: $(STAMP)
	$(PIP) install --quiet -c constraints.txt -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screens: $(STAMP)
	@exec $(BIN)/python docs/screens.py

man: $(STAMP)
	@exec $(BIN)/rawproto man $(or $(DIR),build/man)

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "rawproto needs Python 3.11 or later; none found (set PYTHON=...)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu, as root:" >&2; \
		$(PYTHON) -c 'import sys; print("    apt-get install python%d.%d-venv" % sys.version_info[:2])' >&2; \
		echo "then run make again, or set PYTHON=... to another interpreter" >&2; exit 2; }
	@echo "installing rawproto into $(CURDIR)/$(VENV) ..."
	@test "$(OURS)" = yes || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --quiet -c constraints.txt -e ".[test]"
	@mkdir -p $(VENV)/cache/matplotlib
	@touch $@

clean:
	rm -rf $(VENV) .venv-python* build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache demo-output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
