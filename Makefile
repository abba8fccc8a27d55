# Purga. `make` lists what there is. Each target first sets up what it needs (deploy/host-setup).

# Set to choose an interpreter for .venv, for example PYTHON=python3.12.
PYTHON ?=
export PYTHON
# Thousands of tests are compiled once, not once for each process.
unexport PYTHONDONTWRITEBYTECODE
HIL ?= 1

PY := .venv/bin/python
SETUP := deploy/host-setup
PACKAGES := models device build deploy hil tests

# build/ is a folder, so every target is declared to be none.
.PHONY: help run test test-whole check lint types imports resolve fmt bench evaluate train fetch \
	bundle hil soak setup lock clean distclean \
	$(PACKAGES)

.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# INPUT and PRESET reach the recipe through the environment: a path may hold spaces and quotes.
run: ## Play a riff, or INPUT=my.wav [PRESET=my.toml], on the simulated board; out/run
	@$(SETUP) run
	@$(PY) -m device run --board simulated \
		$${INPUT:+--input "$$INPUT"} $${PRESET:+--preset "$$PRESET"} --out out/run

# One process more than cores, four at most: a fifth of the time is waiting. A file stays in one of
# them: what its tests share is made once. Files start in the order of their names: the longest is among the first. What keeps time with
# a clock comes afterwards, by itself.
test: ## Run the tests: no hardware, minutes
	@$(SETUP) test
	@$(PY) -m pytest -m "not soak and not whole and not alone" \
		-n $$(($$(nproc) < 3 ? $$(nproc) + 1 : 4)) --dist loadfile --no-loadscope-reorder
	@$(PY) -m pytest -m "alone and not soak and not whole" \
		$$(grep -lrE --include='test_*.py' 'mark\.(alone|pipewire)' tests)

test-whole: ## The tests on networks of full size, and those that need torch; gigabytes on x86-64
	@$(SETUP) torch
	@$(PY) -m pytest -m "(torch or whole) and not soak" -n 2 --dist loadfile --timeout 900

check: lint types imports resolve ## Lint, types, import contracts, and that the locked requirements resolve

lint: ## ruff: rules and formatting
	@$(SETUP) check
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: ## mypy: strict on models and device
	@$(SETUP) check
	$(PY) -m mypy

imports: ## import-linter: who may import whom
	@$(SETUP) check
	.venv/bin/lint-imports

resolve: ## Prove that each requirement file resolves on each Python and machine
	@$(SETUP) check
	$(PY) -m deploy.resolve

fmt: ## Format the code and apply the safe fixes
	@$(SETUP) check
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: ## Measure what each block and engine costs per period; out/bench.json
	@$(SETUP) run
	@mkdir -p out
	@$(PY) -m device bench --json-file out/bench.json

# ARGS is passed on, such as ARGS="--quick"; CDPAM=1 installs that measure too, which takes gigabytes.
evaluate: ## How near the tones in between come, against the crossfade; out/evaluate
	@$(SETUP) $(if $(CDPAM),cdpam,evaluate)
	@$(PY) -m models evaluate --out out/evaluate $(ARGS)

train: ## Train the stage network anew, ARGS="..." as python -m models train --help says
	@$(SETUP) training
	@$(PY) -m models train $(ARGS)

fetch: ## Get the studio engine's official weights, after asking: CC BY-NC 4.0, non-commercial
	@$(SETUP) music2latent
	@$(PY) -m build fetch $(ARGS)

# A checkpoint as .safetensors is read without torch. CHECKPOINT and OUT go through the environment.
bundle: ## Make a studio bundle of CHECKPOINT=weights.pt, ARGS="..." passed on; OUT=out/bundle
	@: "$${CHECKPOINT:?names no file; give the weights that make fetch gets}"
	@$(SETUP) $(if $(filter %.safetensors,$(CHECKPOINT)),build,music2latent)
	@$(PY) -m build bundle --checkpoint "$$CHECKPOINT" --out "$${OUT:-out/bundle}" $(ARGS)

# ARGS is passed on, such as ARGS="--only faults". Needs root: a root file system belongs to it.
hil: ## Build the virtual pedal and prove what it promises on real drivers; out/hil
	@$(SETUP) virtual
	@$(PY) -m hil run $(ARGS)

# HIL= leaves the virtual pedal out, which needs root and hours.
soak: ## Run the long tests, and the virtual pedal for ten minutes in each configuration; HIL= without it
	@$(SETUP) test
	@$(PY) -m pytest -m soak tests
	@$(if $(HIL),$(SETUP) virtual && $(PY) -m hil run --profile full --out out/hil-soak)

setup: ## Install what running, testing and a real board need
	@$(SETUP) all

lock: ## Lock the requirements again; UPGRADE=1 takes newer versions
	@$(SETUP) tools
	@$(PY) -m deploy.lock $(if $(UPGRADE),--upgrade)

clean: ## Remove what was generated, but not .venv
	@rm -rf out .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find $(PACKAGES) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv
	@rm -rf .venv
