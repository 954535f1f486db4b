# Two commands do everything on a fresh machine: `make demo` and `make test`.

# The first Python of a version that Tagkin supports.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# With the extras and what the tests need, which the demo doesn't.
DEVELOPED := $(VENV)/.developed
# Two processes, whatever the number of cores: each holds networks in memory, and Keras uses the rest.
AT_ONCE := -n 2 --dist loadfile

.PHONY: demo test check bench clean slow

demo: $(INSTALLED)
	$(BIN)/tagkin demo

test: $(DEVELOPED)
	$(BIN)/python -m pytest $(AT_ONCE)

slow: $(DEVELOPED)
	$(BIN)/python -m pytest -m "slow or fault"

check: $(DEVELOPED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest $(AT_ONCE)

bench: $(DEVELOPED)
	$(BIN)/python benchmarks/embed.py --write docs/benchmarks.md

clean:
	rm -rf $(VENV) build dist tagkin-demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
ifeq ($(strip $(PYTHON)),)
	$(error Tagkin needs Python 3.11, 3.12 or 3.13; name one with PYTHON=/path/to/python)
endif
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(DEVELOPED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
