# Short names for everything that is done with this repository. `make` alone lists them.

PYTHON  ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
             $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
LISTEN  ?= 127.0.0.1:5000
DATA    ?= data
WORKERS ?= auto
ARGS    ?=

VENV    := .venv
BIN     := $(VENV)/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST  := $(BIN)/python -m pytest

ENGINES := --db=postgres --blobs=s3
# What needs no engine, or chooses its engines itself (the iam room's own tests take both databases), is not run twice.
OWN_ENGINES := $(addprefix --ignore=tests/,oci scanner house containeranalysis drivers flows/test_many_nodes.py flows/test_backup.py flows/test_moving.py \
                 flows/test_copying.py conformance/test_our_image.py conformance/test_scan_debian.py) \
               $(addprefix --ignore-glob=tests/,conformance/test_login_*.py conformance/test_gcloud_*.py conformance/test_ways_in*.py \
                 conformance/test_google*.py conformance/test_gcr*.py conformance/test_*_client*.py conformance/test_crane_names.py \
                 conformance/test_credential_helper.py conformance/test_private_authority.py operations/test_tls.py operations/test_proxy*.py \
                 cli/test_auth.py cli/test_policies.py cli/test_*_command.py cli/test_gcloud_*.py cli/test_images_gcloud.py \
                 $(addprefix cli/test_,filters.py grammar.py init.py start.py) \
                 $(addprefix scanning/test_,editions.py loads.py rematch*.py updates.py layer_processes.py on_demand*.py) \
                 $(addprefix iam/test_,conditions.py members.py roles.py decide.py tokens.py keys.py signing.py service_accounts.py revocation.py \
                 credentials.py people.py throttle.py audit.py federation.py signin.py oauth.py openid.py expiry.py matrix.py admin*.py \
                 packages_api.py package_changes_api.py cloudasset.py))
# The order of files is ours: tests/conftest.py.
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Other people's programs, and files of which each test starts programs of ours or has thousands of cases.
LEFT_OUT := $(addprefix --ignore=tests/,conformance $(addprefix iam/test_,matrix.py openid.py) \
              $(addprefix scanning/test_,pushes.py broken_images.py sboms.py) $(addprefix cli/test_,auth.py grammar.py init.py serve.py)) \
            $(addprefix --ignore-glob=tests/,cli/test_*_command.py scanner/test_*_versions.py)
# Slow tests wait more than they compute: for other programs, for disks, for what they killed.
PARALLEL_SLOW := -n $(shell expr $$(nproc) + 1) --dist loadfile --no-loadscope-reorder

# Compiled once: every server and command that the tests start would compile the whole program again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-fast test-engines check static tools conformance soak bench bench-scan growth nodes image lock clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name says; do printf '  make %-12s %s\n' "$$name" "$$says"; done

run: $(VENV)/ready-to-run ## serve on 127.0.0.1:5000 with the folder data (LISTEN=, DATA=, ARGS= change that)
	@exec $(BIN)/roadstead serve --data '$(DATA)' --listen '$(LISTEN)' $(ARGS)

test: $(VENV)/ready-to-test ## install what the tests need, then run everything: checks, fast tests, slow tests, both pairs of engines
	tests/install-tools
	@$(MAKE) --no-print-directory static
	$(PYTEST) -m 'not slow' $(PARALLEL) $(ARGS)
	@$(MAKE) --no-print-directory test-engines
	$(PYTEST) -m slow $(PARALLEL_SLOW) $(ARGS)

test-fast: $(VENV)/ready-to-test ## the tests that take no more than a second or so each, without other people's programs and servers
	$(PYTEST) -m 'not slow' -k 'not postgres and not s3' $(LEFT_OUT) $(PARALLEL) $(ARGS)

# What gcloud says it says whatever the engines are.
test-engines: $(VENV)/ready-to-test ## the same tests, fast and slow, on PostgreSQL and a real S3 server
	$(PYTEST) $(ENGINES) $(OWN_ENGINES) -m 'not slow' $(PARALLEL) $(ARGS)
	$(PYTEST) $(ENGINES) $(OWN_ENGINES) -m slow -k 'not gcloud' $(PARALLEL_SLOW) $(ARGS)

check: static test-fast ## format, lint, types, import contracts, fast tests

static: $(VENV)/ready-to-test
	$(BIN)/ruff format --check --quiet
	$(BIN)/ruff check --quiet
	$(BIN)/mypy
	$(BIN)/lint-imports

tools:
	tests/install-tools

conformance: $(VENV)/ready-to-test tools ## the OCI conformance suite, counted
	$(BIN)/python -m tests.kit.conformance $(ARGS)

soak: export ROADSTEAD_KILLS ?= 200
soak: export ROADSTEAD_SOAK_SECONDS ?= 1800
soak: export ROADSTEAD_POWER_LOSSES ?= 1000
soak: $(VENV)/ready-to-test tools ## the crash, power loss, full disk and collection tests, for long
	$(PYTEST) -m slow -s tests/flows $(ARGS)

bench: $(VENV)/ready-to-run tools ## compare with other registries in one run
	bench/run $(ARGS)

bench-scan: $(VENV)/ready-to-test ## how fast layers are read, one day's advisories over 100,000 images, pushes beside scans
	$(BIN)/python bench/scan.py $(ARGS)
	$(BIN)/python bench/rematch.py
	$(BIN)/python bench/beside.py

growth: $(VENV)/ready-to-test tools ## how the figures grow from 1,000 to 1,000,000 tags, on both databases
	$(BIN)/python bench/growth.py $(ARGS)

nodes: $(VENV)/ready-to-test tools ## one, two and three nodes, and what a request costs there
	$(BIN)/python bench/nodes.py $(ARGS)

image: $(VENV)/ready-to-run ## make the container image and push it: ARGS='--push http://127.0.0.1:5000/my-project/roadstead:v1' (as root)
	$(BIN)/python deploy/image $(ARGS)

lock: $(VENV)/bin/python ## write the lock files anew from pyproject.toml (ARGS=--upgrade takes newer versions)
	$(BIN)/python -m venv .cache/lock
	.cache/lock/bin/python -m pip --disable-pip-version-check --quiet install uv==0.13.9
	$(COMPILE) --group build -o requirements.lock
	$(COMPILE) --group build --group test --group check -c requirements.lock -o requirements-test.lock

COMPILE := .cache/lock/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
             --no-header --no-emit-index-url --no-emit-find-links $(ARGS)

clean: ## remove everything that was made here, but not the folder data
	rm -rf $(VENV) .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis results dist
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are older than what they are made from when it changes, so a second `make run` installs nothing.

$(VENV)/bin/python:
	@[ -n '$(PYTHON)' ] || { echo 'Python 3.11 or newer is needed and was not found: install it (Debian 12: apt-get install python3 python3-venv), or give it: make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo '$(PYTHON) is older than Python 3.11: give a newer one with make PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo '$(PYTHON) cannot make virtual environments: install its venv module (Debian: apt-get install python3-venv), then try again' >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(VENV)/ready-to-run: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/ready-to-test: requirements-test.lock $(VENV)/ready-to-run
	$(PIP) install --require-hashes -r requirements-test.lock
	@touch $@
