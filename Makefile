# `make demo` turns a photo into a scene; `make test` proves the pieces. Each works alone on a fresh clone.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TEST_MINUTES ?= 25
TEST_PROCESSES ?= 2

PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: demo test browser lint format clean

# The scene of an earlier demo makes room for the new one; any other folder of that name is refused.
demo: $(VENV)/.installed
	@if grep -qs '"gen3r-scene"' demo_scene/scene.json; then rm -rf demo_scene; fi
	$(BIN)/python examples/01_photo_to_scene.py

test: $(VENV)/.installed-dev browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --session-timeout=$$(( $(TEST_MINUTES) * 60 ))

# The tests of the pages drive a real browser: Debian's, fetched where that is possible; without one they are skipped.
browser:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends chromium fonts-liberation >/dev/null; \
	else echo "No Chromium: the browser tests will be skipped. 'apt-get install chromium' as root brings it."; fi

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# PyTorch comes first and alone: what follows then finds it installed and fetches no other build of it.
$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Gen3R needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.torch pyproject.toml
	$(PIP) --editable '.[all,dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist src/*.egg-info
