# `make demo` and `make test` need git, make and Python 3.11 to 3.13; they set up the rest.

# The first Python here that fits; `make PYTHON=… test` names another.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)
DEV := .venv/bin
DEMO := .venv-demo/bin
STUBS := .venv-protos/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint types prove-first prove-streams prove-models prove-operate \
	prove-neighbours prove-playground prove-polyglot prove-scale bench bench-quick bench-peers bench-polyglot \
	stubs dashboard released lock clean

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: .venv-demo/ready ## start a server with the bundled models, ask it both ways, stop it
	@$(DEMO)/python scripts/demo.py

test: lint types .venv-protos/ready ## lint, types and every test
	@$(DEV)/python -m pytest

lint: .venv/ready
	@$(DEV)/ruff check . && $(DEV)/ruff format --check .

types: .venv/ready
	@$(DEV)/mypy

prove-first: .venv/ready ## the figures behind the first release; SHORT=--short leaves out what CI just did
	@$(DEV)/python scripts/prove_first.py $(SHORT)

prove-streams: .venv/ready ## the figures behind streams; SHORT=--short takes less time over each
	@$(DEV)/python scripts/prove_streams.py $(SHORT)

prove-models: .venv/ready ## the figures behind the bundled models; SHORT=--short does not train them anew
	@$(DEV)/python scripts/prove_models.py $(SHORT)

prove-operate: .venv/ready ## the figures behind running it, an hour of load among them; SHORT=--short takes three minutes
	@$(DEV)/python scripts/prove_operate.py $(SHORT)

prove-neighbours: .venv/ready ## other servers' own clients, unmodified; SHORT=--short takes less time over the cost
	@$(DEV)/python scripts/prove_neighbours.py $(SHORT)

prove-playground: .venv-playground/ready ## the page in Chromium: drawn on, filmed, restarted, attacked; SHORT=--short
	@.venv-playground/bin/python scripts/prove_playground.py $(SHORT)

prove-polyglot: .venv/ready .venv-protos/ready ## every language's client, built and compared; SHORT=--short: no mutants, no skew
	@$(DEV)/python scripts/prove_polyglot.py $(SHORT)

prove-scale: .venv-scale/ready ## several hosts on this machine: Envoy, HAProxy, round_robin, a Ray cluster; SHORT=--short
	@.venv-scale/bin/python scripts/prove_scale.py $(SHORT)

bench-quick: .venv/ready ## our own ratios against the floor, in under four minutes; VERSION=3: with that bundled model; WORKERS=2
	@DIGITSERVE_BENCH_VERSION=$(VERSION) DIGITSERVE_BENCH_WORKERS=$(WORKERS) $(DEV)/python -m benchmarks --quick

bench: .venv/ready ## the same at length, and how cost grows; JSON and plots in benchmarks/results/
	@$(DEV)/python -m benchmarks

bench-peers: .venv/ready ## digitserve beside other servers; SHORT=--short takes a few minutes
	@$(DEV)/python -m benchmarks.peers $(SHORT)

bench-polyglot: .venv/ready .venv-protos/ready ## a call's latency in each language, into benchmarks/polyglot.md
	@$(DEV)/python scripts/bench_polyglot.py

stubs: .venv-protos/ready ## write the Python stubs of protos/ and docs/reference.md anew
	@$(STUBS)/python scripts/generate_stubs.py && $(STUBS)/python scripts/generate_reference.py

dashboard: .venv/ready ## write Grafana's dashboard, deploy/observe/grafana.json, anew
	@$(DEV)/python scripts/generate_dashboard.py

released: .venv/ready ## record HEAD as released: what later contracts and servers are held to
	@$(DEV)/python scripts/record_release.py

lock: .venv-lock/ready ## pin what each environment holds, from pyproject.toml and requirements/*.in
	@sh scripts/lock.sh .venv-lock/bin/uv

clean: ## forget the environments and what was built
	rm -rf .venv* .tools build dist out .hypothesis .mypy_cache .pytest_cache .ruff_cache

# --- environments: made once, and again when what they hold changes --------------------------

# $(1) folder, $(2) file of requirements
define environment
	@test -n "$(PYTHON)" || { echo "digitserve needs Python 3.11, 3.12 or 3.13"; exit 1; }
	@echo "setting up $(1) (once)"
	@rm -rf $(1) && $(PYTHON) -m venv $(1)
	@$(1)/bin/pip --disable-pip-version-check -q install --require-hashes -r $(2)
endef
define project
	@$(1)/bin/pip --disable-pip-version-check -q install --no-deps --no-build-isolation -e .
endef

.venv/ready: requirements/development.txt pyproject.toml
	$(call environment,.venv,$<)
	$(call project,.venv)
	@touch $@

.venv-demo/ready: requirements/demo.txt pyproject.toml
	$(call environment,.venv-demo,$<)
	$(call project,.venv-demo)
	@touch $@

.venv-playground/ready: requirements/playground.txt pyproject.toml
	$(call environment,.venv-playground,$<)
	$(call project,.venv-playground)
	@touch $@

.venv-scale/ready: requirements/scale.txt pyproject.toml
	$(call environment,.venv-scale,$<)
	$(call project,.venv-scale)
	@touch $@

.venv-protos/ready: requirements/protos.txt
	$(call environment,.venv-protos,$<)
	@touch $@

.venv-lock/ready: requirements/lock.in
	@$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip --disable-pip-version-check -q install -r $<
	@touch $@
