.DEFAULT_GOAL := help
SHELL := /bin/bash

# A distribution's own build comes first: with its profile-guided optimization a worker decides a quarter more.
PYTHON ?= $(or $(shell for python in /usr/bin/python3 python3.11 python3; do \
  $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$python && break; \
  done),$(error Python 3.11 or newer with its venv module is needed; name one: make PYTHON=...))
BIN := .venv/bin
INSTALLED := .venv/.installed
PEERS := .venv-bench/.installed
FIGURE ?=
LOAD ?=

.PHONY: help install run proto test lint types check bench wire-sizes load soak reach faults clean broker programs

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

install: $(INSTALLED) ## create .venv with the pinned packages

$(INSTALLED): requirements.txt pyproject.toml
	@echo "installing Python packages, about a minute"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install -qq --no-deps --editable .
	touch $@

# Quix Streams wants older packages than we do.
$(PEERS): bench/requirements.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --requirement bench/requirements.txt
	touch $@

run: $(INSTALLED) ## start broker, worker, gateway and demo data; Ctrl-C stops them
	@exec $(BIN)/python docker/local/up.py

proto: $(INSTALLED) ## generate the Protobuf code from gateway/proto/readcast.proto
	$(BIN)/python -m grpc_tools.protoc --proto_path=. --python_out=. --pyi_out=. gateway/proto/readcast.proto

test: check broker programs ## lint, types and every test
	$(BIN)/python -m pytest -q -m "not alone" --numprocesses 2 --dist loadfile --no-loadscope-reorder; \
	  parallel=$$?; $(BIN)/python -m pytest -q -m alone && exit $$parallel

lint: $(INSTALLED) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED) ## mypy, strict, on the packages
	$(BIN)/mypy

check: lint types ## lint and types

bench: $(INSTALLED) $(PEERS) broker ## measure a figure beside its peer: make bench FIGURE=name
	$(BIN)/python -m bench $(FIGURE)

load: $(INSTALLED) broker ## clients that chat, and a report of what they saw: docs/load.md
	$(BIN)/python -m load chat $(LOAD)

soak: $(INSTALLED) broker ## 30 min at half the highest rate: memory and latency over time
	$(BIN)/python -m load soak --docs docs/images $(LOAD)

reach: $(INSTALLED) ## simulate a notice to 200 of 600 million users: docs/public-reach.md
	$(BIN)/python -m bench.public_reach --write

wire-sizes: $(INSTALLED) broker ## measure a conversation in each form of the wire: docs/wire-sizes.md
	$(BIN)/python -m bench.wire_sizes --write

faults: $(INSTALLED) broker ## kill and stop parts under load, the long run
	$(BIN)/python -m tests.faults --long

broker: $(INSTALLED)
ifndef KAFKA_BOOTSTRAP_SERVERS
	@$(BIN)/python docker/local/kafka.py fetch
endif

programs: # what the tests run besides Python and Java
	@{ command -v chromium && { command -v docker-compose || docker compose version; }; } >/dev/null 2>&1 || { \
	  test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium docker-compose; \
	} || { echo "The tests need chromium and docker-compose on the PATH: please install them." >&2; exit 1; }

clean: ## remove .venv, build and caches; data/ stays
	rm -rf .venv .venv-bench build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
