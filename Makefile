# make up       everything on this machine, until Ctrl-C         make up PORT=9000
# make test     the whole test suite, against a private PostgreSQL
# make journey  the main job over HTTP, against the real processes
# make check    ruff, mypy, import contracts, translations, migrations
# make bench    benchmarks that print ratios                      make bench NAME=pages
# Needs python3 (3.11 or newer, with venv), make and git; the rest is installed below this folder.

PYTHON ?= python3
ENV := .venv/bin
RUN := $(ENV)/python
UV := $(ENV)/uv
PORT ?=
NAME ?=
ENGINE ?= local
TESTS ?=
WORKERS ?= 2
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: up install test journey check bench translations format clean

install: .venv/.ready .venv-singleuser/.ready node_modules/.ready portal/web/static/manifest.json portal/translations/.ready

up: install
	@$(RUN) -m portal.cli up $(if $(PORT),--port $(PORT))

test: install
	@$(RUN) -m pytest -n $(WORKERS) --dist loadgroup $(TESTS)

journey: install
	@ENGINE=$(ENGINE) $(RUN) -m tests.journeys.main_job

check: install
	@$(ENV)/ruff check .
	@$(ENV)/ruff format --check --quiet . || (echo "run: make format"; exit 1)
	@$(RUN) -m mypy
	@$(ENV)/lint-imports
	@$(RUN) -m tests.architecture.translations
	@$(RUN) -m tests.architecture.migrations

bench: install
	@$(RUN) -m bench $(NAME)

format: install
	@$(ENV)/ruff check --fix-only --quiet . ; $(ENV)/ruff format --quiet .

# The catalogue: texts from the code into the .pot, merged into each language, then compiled.
translations: install
	@$(ENV)/pybabel -q extract -F portal/translations/babel.cfg -k _ -k N_ -k ngettext:1,2 -k npgettext:1c,2,3 -k pgettext:1c,2 -k lazy_gettext --no-location --sort-output -o portal/translations/messages.pot .
	@for code in fr ar; do $(ENV)/pybabel -q update -i portal/translations/messages.pot -d portal/translations -l $$code --no-fuzzy-matching --ignore-obsolete --no-wrap || exit 1; done
	@$(MAKE) --no-print-directory portal/translations/.ready

.venv/.ready: pyproject.toml uv.lock
	@test -x $(UV) || ($(PYTHON) -m venv .venv && .venv/bin/python -m pip install --quiet --disable-pip-version-check uv)
	@UV_PROJECT_ENVIRONMENT=.venv $(UV) sync --frozen --quiet --inexact --compile-bytecode --python .venv/bin/python
	@touch $@

.venv-singleuser/.ready: deploy/singleuser/pyproject.toml deploy/singleuser/uv.lock .venv/.ready
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.venv-singleuser $(UV) sync --project deploy/singleuser --frozen --quiet --compile-bytecode --python "$$($(RUN) -c 'import sys; print(sys._base_executable)')"
	@touch $@

node_modules/.ready: package.json package-lock.json .venv/.ready
	@npm ci --silent --no-audit --no-fund
	@touch $@

portal/web/static/manifest.json: node_modules/.ready $(shell find portal/web/assets -type f 2>/dev/null)
	@npm run --silent build

portal/translations/.ready: .venv/.ready $(wildcard portal/translations/*/LC_MESSAGES/messages.po)
	@$(ENV)/pybabel -q compile -d portal/translations 2>/dev/null || $(ENV)/pybabel compile -d portal/translations
	@touch $@

clean:
	@rm -rf .venv .venv-singleuser node_modules var portal/web/static
