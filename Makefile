# Start with `make run` and `make test`. Each installs what it needs first.
.DEFAULT_GOAL := help
PORT ?= 8000
PYTHON := .venv/bin/python
# The first Python that runs and is new enough. Run it: a name on the PATH may be a shim that only prints an error.
FIND_PYTHON = for python in python3.13 python3.12 python3.11 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; python=; done; \
	test -n "$$python" || { echo "Python 3.11 or newer is required but was not found on the PATH." >&2; exit 1; }

DOCUMENTED_SCREENSHOTS = list-3-light.png edit-scope-light.png secret-phone-dark.png

.PHONY: help install setup run test postgresql live soak fuzz browser screenshots hosts matrix bench lint lock upgrade audit release docs
help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile

install: .venv/site .env ## Install what the site needs into .venv, and write .env with random secrets if it is missing

setup: .venv/installed .env ## The same, with the tools for tests and lint

run: install ## Install, migrate, add demo data, serve on 127.0.0.1:8000 (set PORT or DATABASE_URL to change)
	@PORT=$(PORT) $(PYTHON) manage.py seeddemo --migrate
	@$(PYTHON) manage.py runserver 127.0.0.1:$(PORT) || \
		{ echo "If port $(PORT) is in use, choose another: make run PORT=8001" >&2; exit 1; }

test: setup ## Run the fast tests; ARGS=tests/finta_keys/test_rename.py runs one file
	$(PYTHON) -m pytest --numprocesses 2 $(ARGS)

postgresql: setup ## Run the same tests on a temporary PostgreSQL
	$(PYTHON) -m tests.live.servers $(PYTHON) -m pytest --numprocesses 2 $(ARGS)

live: setup ## Run tests with real servers and several processes: concurrency, failures, rate limits, upgrades
	$(PYTHON) -m pytest tests/concurrency tests/faults tests/upgrades -m live -p no:randomly -rA $(ARGS)

soak: ## Run them for most of an hour: thousands of rounds, 10,000 changes, ten minutes of mixed load
	SOAK_ROUNDS=100 SOAK_WRITES=1000 SOAK_TRIALS=10000 SOAK_KILLS=60 SOAK_FAILOVERS=20 SOAK_MINUTES=10 $(MAKE) live

fuzz: setup ## Send random texts to every form, endpoint and command for 15 minutes (set FUZZ_SEED for others)
	FUZZ_MINUTES=15 $(PYTHON) -m pytest tests/slow/test_fuzz.py -m slow --capture no $(ARGS)

browser: setup .venv/browser ## Run tests in real browsers (set CHROMIUM and FIREFOX if they are not on the PATH)
	$(PYTHON) -m pytest tests/browser -m browser --numprocesses 2 $(ARGS)

screenshots: setup .venv/browser ## Take screenshots of the pages, and update those of the documents
	$(PYTHON) -m pytest tests/browser/screenshots.py -m browser -p no:randomly $(ARGS)
	cp $(addprefix screenshots/,$(DOCUMENTED_SCREENSHOTS)) docs/images/

hosts: setup ## Build the wheel, test it in other projects, and follow the documents
	$(PYTHON) -m pytest -m host --numprocesses 2 -rA $(ARGS)

matrix: setup ## Run the tests of the app on every supported Python (if installed) and Django
	$(PYTHON) -m nox $(ARGS)

bench: .venv-bench/installed ## Compare the cost of keys with other libraries and write docs/benchmarks.md (ARGS=--help lists options)
	.venv-bench/bin/python -m benchmarks $(ARGS)

docs: setup .venv/docs ## Build the documents' site, build/site/index.html
	$(PYTHON) -m sphinx --quiet --fail-on-warning --keep-going -b html -c docs/site . build/site

lint: setup ## Check style, types, templates, imports between packages, migrations and the OpenAPI document
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports
	.venv/bin/djlint --lint --quiet templates finta_keys/templates
	$(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTHON) manage.py spectacular --validate --fail-on-warn --file /dev/null

# Lock a file of requirements for every supported Python, in agreement with the files that follow.
LOCK = UV_CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/uv pip compile --universal --python-version 3.11 --quiet \
	--generate-hashes --no-emit-index-url --no-emit-find-links --annotation-style line $(UPGRADE)

lock: setup ## Write the versions and hashes of the packages that requirements*.in name, keeping those already locked
	$(LOCK) --output-file requirements.txt requirements.in
	$(LOCK) -c requirements.txt --output-file requirements-dev.txt requirements-dev.in
	$(LOCK) -c requirements-dev.txt --output-file requirements-browser.txt requirements-browser.in
	$(LOCK) -c requirements-browser.txt --output-file requirements-docs.txt requirements-docs.in
	$(LOCK) -c requirements-docs.txt -c requirements-browser.txt --output-file requirements-release.txt requirements-release.in

upgrade: UPGRADE = --upgrade
upgrade: lock ## Lock the newest versions of all packages

audit: setup .venv/release ## Compare the locked packages with the advisories of the package index
	set -e; for file in requirements*.txt; do echo "$$file" >&2; \
		.venv/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off --requirement "$$file"; done

release: setup .venv/release ## Build, check and upload a release (DRY_RUN=1 uploads nothing), see RELEASING.md
	$(PYTHON) release.py $(if $(DRY_RUN),--dry-run)

# Install a locked file of requirements into an environment, and print the packages. uv is several times as fast as pip.
install_into = if command -v uv >/dev/null; then uv pip install --python $(1)/bin/python --requirement $(2) $(3); else \
	{ $(1)/bin/python -m pip install --disable-pip-version-check --requirement $(2) $(3); echo $$? >$(1)/status; } | \
	awk '/^Collecting / { print "  " $$2; fflush() }'; exit "$$(cat $(1)/status)"; fi

$(PYTHON):
	@$(FIND_PYTHON); echo "Creating .venv with $$python" >&2; "$$python" -m venv .venv

.venv/site: requirements.txt | $(PYTHON)
	@echo "Installing what the site needs into .venv: about 30 packages, half a minute without a cache" >&2
	@$(call install_into,.venv,requirements.txt,--require-hashes)
	@touch $@

.venv/installed: requirements.txt requirements-dev.txt | $(PYTHON)
	@echo "Installing the tools for tests and lint into .venv: about 100 packages, a minute or two without a cache" >&2
	@$(call install_into,.venv,requirements-dev.txt,--require-hashes)
	@touch .venv/site $@

.venv/browser: .venv/installed requirements-browser.txt
	@$(call install_into,.venv,requirements-browser.txt,--require-hashes)
	@touch $@

.venv/docs: .venv/installed requirements-docs.txt
	@$(call install_into,.venv,requirements-docs.txt,--require-hashes)
	@touch $@

.venv/release: .venv/installed requirements-release.txt
	@$(call install_into,.venv,requirements-release.txt,--require-hashes)
	@touch $@

# The other libraries have their own environment.
.venv-bench/installed: requirements.in benchmarks/requirements.txt
	@$(FIND_PYTHON); test -x .venv-bench/bin/python || "$$python" -m venv .venv-bench
	@$(call install_into,.venv-bench,benchmarks/requirements.txt)
	@touch $@

# Write to another file first, so that an interrupted run leaves no partial .env.
.env: | $(PYTHON)
	@umask 077 && $(PYTHON) -c 'import secrets; print("DEBUG=true", "SECRET_KEY=" + secrets.token_urlsafe(50), \
		"API_KEY_PEPPERS=" + secrets.token_hex(32), sep="\n")' > .env.new && mv .env.new .env
