# Two commands: `make run` and `make test`. Each installs what it needs first.
.DEFAULT_GOAL := help
PORT ?= 8000
PYTHON := .venv/bin/python
# The first Python that really runs and is new enough: a name on the PATH may be a shim that only prints an error.
FIND_PYTHON = for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done; \
	test -n "$$python" || { echo "Python 3.11 or newer is needed; none was found on the PATH." >&2; exit 1; }

README_PICTURES = list-3-light.png edit-scope-light.png secret-phone-dark.png

.PHONY: help setup run test postgresql live soak browser screenshots hosts matrix bench lint
help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

setup: .venv/installed .env ## Make the .venv, and a .env with random secrets if there is none

run: setup ## Install, migrate, add demo data, serve on 127.0.0.1:8000 (PORT and DATABASE_URL are respected)
	@$(PYTHON) manage.py migrate --verbosity 0
	@PORT=$(PORT) $(PYTHON) manage.py seeddemo
	@$(PYTHON) manage.py runserver 127.0.0.1:$(PORT)

test: setup ## Run the tests, without the slow ones
	$(PYTHON) -m pytest --numprocesses 2 $(ARGS)

postgresql: setup ## Run the same tests on a PostgreSQL of their own, from the programs that the machine has
	$(PYTHON) -m tests.live.servers $(PYTHON) -m pytest --numprocesses 2 $(ARGS)

live: setup ## Run the tests with real servers and processes: concurrency, faults, limits over processes
	$(PYTHON) -m pytest tests/concurrency tests/faults -m live -p no:randomly -rA $(ARGS)

soak: ## The same for most of an hour: thousands of rounds, 10,000 changes, ten minutes of mixed load
	SOAK_ROUNDS=100 SOAK_TRIALS=10000 SOAK_KILLS=60 SOAK_MINUTES=10 $(MAKE) live

browser: setup .venv/browser ## Run the tests that drive a real browser; CHROMIUM names one that is not on the PATH
	$(PYTHON) -m pytest tests/browser -m browser --numprocesses 2 $(ARGS)

screenshots: setup .venv/browser ## Take pictures of the pages into screenshots/, those of the README into docs/images/
	$(PYTHON) -m pytest tests/browser/screenshots.py -m browser -p no:randomly $(ARGS)
	cp $(addprefix screenshots/,$(README_PICTURES)) docs/images/

hosts: setup ## Build the wheel and run the tests of other projects that install it
	$(PYTHON) -m pytest -m host --numprocesses 2 -rA $(ARGS)

matrix: setup ## Run the tests of the app on each Python and Django that it is for, as far as the machine has them
	$(PYTHON) -m nox $(ARGS)

bench: .venv-bench/installed ## Measure what a key costs, beside other libraries, and write docs/benchmarks.md; ARGS=--help tells what else
	.venv-bench/bin/python -m benchmarks $(ARGS)

lint: setup ## Check style, types, templates, the arrows between the packages, migrations and the API's description
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	.venv/bin/djlint --lint --quiet templates finta_keys/templates
	$(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTHON) manage.py spectacular --validate --fail-on-warn --file /dev/null

.venv/installed: requirements.txt requirements-dev.txt
	@$(FIND_PYTHON); test -x $(PYTHON) || "$$python" -m venv .venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

.venv/browser: .venv/installed requirements-browser.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --requirement requirements-browser.txt
	@touch $@

# The other libraries are installed into an environment of their own.
.venv-bench/installed: requirements.txt benchmarks/requirements.txt
	@$(FIND_PYTHON); test -x .venv-bench/bin/python || "$$python" -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	@touch $@

# Written to a file of its own first, so that a run that is broken off leaves no half of it behind.
.env: | .venv/installed
	@umask 077 && $(PYTHON) -c 'import secrets; print("DEBUG=true", "SECRET_KEY=" + secrets.token_urlsafe(50), \
		"API_KEY_PEPPERS=" + secrets.token_hex(32), sep="\n")' > .env.new && mv .env.new .env
