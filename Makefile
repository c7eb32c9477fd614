# Everything a person types. `make` alone lists the targets.
#
# The environment is made on first use, in .venv; VENV=<folder> puts it elsewhere, PYTHON=<program> chooses its Python.

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
# The first of these that Aegis supports makes the environment.
PYTHON ?= python3 python3.13 python3.12 python3.11
TEST_WORKERS ?= 2
TESTS ?= tests

BIN := $(VENV)/bin

# A command imports thousands of modules. Where images forbid bytecode on disk, each start would compile them all again
# and take twice as long; it lies in the environment and in the clone, and `make clean` removes it.
unexport PYTHONDONTWRITEBYTECODE

# A stamp's name holds a hash of all that its environment depends on, so that asking whether it is up to date costs two cksums.
# The clone's place is part of it: an environment's scripts do not survive a move.
stamp_hash = $(shell { echo "$(CURDIR)"; cat $(1) pyproject.toml deploy/build_environment.py; } | cksum | cut -d ' ' -f 1)
RUNTIME_STAMP := $(VENV)/runtime-$(call stamp_hash,requirements.lock)
DEV_STAMP := $(VENV)/dev-$(call stamp_hash,requirements-dev.lock)

##@ Using it

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\nEverything under "Using it" takes SOURCE=simulated|yahoo|alpaca|crypto|files, DATA=<folder of your prices>, WORKSPACE=<name>,\n'
	@printf 'FIRST=<date> and LAST=<date>; they override aegis.yaml. Give the same ones to each command on one history.\n'
	@printf 'make run FROM=<date> decides the sessions from that date on once more; TO=<date> stops at a later session than the newest.\n'

# Only what stands on the command line counts: an environment variable called WORKSPACE or DATA means something else.
given = $(filter command line,$(origin $(1)))
COMMANDS := run ui summary trace trade kill release audit
ifneq ($(call given,DATA),)
$(COMMANDS): export AEGIS_MARKET_DATA__FILES__FOLDER := $(if $(filter /% ~%,$(firstword $(DATA))),$(DATA),$(CURDIR)/$(DATA))
$(COMMANDS): export AEGIS_RUN__SOURCE := files
endif
ifneq ($(call given,SOURCE),)
$(COMMANDS): export AEGIS_RUN__SOURCE := $(SOURCE)
endif
ifneq ($(call given,WORKSPACE),)
$(COMMANDS): export AEGIS_RUN__WORKSPACE := $(WORKSPACE)
endif
ifneq ($(call given,FIRST),)
$(COMMANDS): export AEGIS_RUN__FIRST_SESSION := $(FIRST)
endif
ifneq ($(call given,LAST),)
$(COMMANDS): export AEGIS_RUN__LAST_SESSION := $(LAST)
endif

.PHONY: run
run: $(RUNTIME_STAMP) ## Bring the whole decision chain up to date and print what was decided; FROM=<date>: again from there on.
	@$(BIN)/aegis run $${GIVEN_FROM:+--from "$$GIVEN_FROM"} $${GIVEN_TO:+--to "$$GIVEN_TO"}

.PHONY: ui
ui: $(RUNTIME_STAMP) ## Open the Dagster UI on the same history; PORT=<n> beside another one.
	@$(BIN)/aegis up $${GIVEN_PORT:+--port "$$GIVEN_PORT"}

.PHONY: summary
summary: $(RUNTIME_STAMP) ## Print the summary again.
	@$(BIN)/aegis summary

.PHONY: trace
trace: $(RUNTIME_STAMP) ## ORDER=<its id, or the first digits>: print what it was decided from.
	@test -n "$$GIVEN_ORDER" || { echo 'problem: say which order: make trace ORDER=<its id, or the first digits>' >&2; exit 2; }
	@$(BIN)/aegis trace "$$GIVEN_ORDER"

.PHONY: trade
trade: $(RUNTIME_STAMP) ## Trade the account of run.account, paper or live, until Ctrl-C.
	@$(BIN)/aegis trade

.PHONY: kill
kill: $(RUNTIME_STAMP) ## REASON="...": let no new order of the account leave.
	@$(require_reason)
	@$(BIN)/aegis kill --reason "$$GIVEN_REASON"

.PHONY: release
release: $(RUNTIME_STAMP) ## REASON="...": let orders leave again after a kill.
	@$(require_reason)
	@$(BIN)/aegis release --reason "$$GIVEN_REASON"

.PHONY: audit
audit: $(RUNTIME_STAMP) ## Verify the journal of the account.
	@$(BIN)/aegis audit verify

# A person's words reach the program through the environment: no quote or dollar in them is the shell's or make's.
run: export GIVEN_FROM := $(if $(call given,FROM),$(value FROM))
run: export GIVEN_TO := $(if $(call given,TO),$(value TO))
ui: export GIVEN_PORT := $(if $(call given,PORT),$(value PORT))
kill release: export GIVEN_REASON := $(if $(call given,REASON),$(value REASON))
trace: export GIVEN_ORDER := $(if $(call given,ORDER),$(value ORDER))
require_reason = test -n "$$GIVEN_REASON" || { echo 'problem: say why: make $@ REASON="..."' >&2; exit 2; }

##@ The environment

.PHONY: check
check: ## Say whether this machine can run Aegis, and name the fix where it cannot.
	@$(find_python); "$$python" deploy/check_machine.py

.PHONY: env
env: $(RUNTIME_STAMP) ## Make the environment, or bring it up to date.

.PHONY: env-dev
env-dev: $(DEV_STAMP) ## The same, with what tests and linters need.

.PHONY: lock
lock: ## Resolve pyproject.toml into the two lock files; LOCK_OPTIONS="--upgrade-package <name>" renews a pin.
	@test -x $(BIN)/uv || $(MAKE) --no-print-directory env
	$(uv_compile) --output-file requirements.lock
	$(uv_compile) --group dev --constraints requirements.lock --output-file requirements-dev.lock

# No index, hash or host: a lock names versions, and every machine has its own index.
uv_compile = UV_PYTHON_DOWNLOADS=never $(BIN)/uv pip compile pyproject.toml --universal --python $(BIN)/python --quiet \
  --no-header --no-annotate --no-emit-index-url $(LOCK_OPTIONS)

.PHONY: clean
clean: ## Remove the environment and all caches; your history in .aegis and reports stays.
	@test ! -f $(VENV)/made_for.txt || rm -rf $(VENV)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build aegis.egg-info dbt/target dbt/logs
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# Sets $python to the first supported one; to the first that exists where none is, so that its refusal can be read.
find_python = python=; \
  for program in $(PYTHON); do \
    command -v "$$program" >/dev/null 2>&1 || continue; \
    if "$$program" deploy/check_machine.py --python-only >/dev/null 2>&1; then python=$$program; break; fi; \
  done; \
  for program in $(PYTHON); do \
    test -z "$$python" && command -v "$$program" >/dev/null 2>&1 && python=$$program; \
  done; \
  if test -z "$$python"; then \
    echo "problem: none of these was found: $(PYTHON). Install Python 3.11 to 3.13 (Debian, Ubuntu: apt install python3 python3-venv)" >&2; \
    exit 1; \
  fi

build_environment = $(find_python); "$$python" deploy/build_environment.py "$(VENV)" $(1) $(notdir $@)

$(RUNTIME_STAMP):
	@$(call build_environment,requirements.lock)

$(DEV_STAMP):
	@$(call build_environment,requirements-dev.lock)

# The Python that an environment was made from can vanish; then no stamp counts.
ifeq ($(shell test -x $(BIN)/python && echo there),)
.PHONY: $(RUNTIME_STAMP) $(DEV_STAMP)
endif

##@ Working on it

# One thread for each worker: the machine's cores are shared out by TEST_WORKERS, and sums of several threads are not
# always equal to the last bit.
test test-long: export OPENBLAS_NUM_THREADS := 1
test test-long: export OMP_NUM_THREADS := 1
# A file's tests stay in one process, which shares their markets. Files keep their order: integration tests, which are few
# and long, come before the many short ones, and no process waits for another at the end.
pytest = $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: test
test: $(DEV_STAMP) ## Run the tests; TESTS=<paths> chooses some, TEST_WORKERS=<n> sets the processes.
	$(pytest) -m "not long" $(TESTS)

.PHONY: test-long
test-long: $(DEV_STAMP) ## Run the tests of full size, file by file: hours. Started again, it goes on where it was.
	$(BIN)/python tests/long_runs.py --workers $(TEST_WORKERS) $(TESTS)

.PHONY: benchmark
benchmark: $(RUNTIME_STAMP) ## Compare the backtesting engine with its peers, in one run; ARGS=--quick for small sizes.
	$(BIN)/python -m benchmarks.backtesting $(ARGS)

.PHONY: lint lint-format lint-code lint-types lint-floors lint-sql lint-definitions
lint: lint-format lint-code lint-types lint-floors lint-sql lint-definitions ## Run all linters; make -k lint goes on after the first complaint.

lint-format: $(DEV_STAMP)
	$(BIN)/ruff format --check .

lint-code: $(DEV_STAMP)
	$(BIN)/ruff check .

lint-types: $(DEV_STAMP)
	$(BIN)/mypy

lint-floors: $(DEV_STAMP)
	$(BIN)/lint-imports

lint-sql: $(DEV_STAMP)
	cd dbt && $(abspath $(BIN))/sqlfluff lint .

lint-definitions: $(DEV_STAMP)
	DG_CLI_CONFIG="$(CURDIR)/deploy/dg.toml" $(BIN)/dg check defs

.PHONY: format
format: $(DEV_STAMP) ## Let ruff format the code and mend what it can.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
