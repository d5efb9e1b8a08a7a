# Every target works from a fresh clone: .ci/prepare makes .venv and fetches what is missing.

PYTEST = .venv/bin/pytest
HOURS ?= 2000
ARGS ?=
unexport PYTHONDONTWRITEBYTECODE  # the tests start hive a thousand times: it is compiled once

.DEFAULT_GOAL := help
.PHONY: help ready demo test lint simulate bench acceptance clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 20

ready:
	@.ci/prepare

demo: ready  ## see hive at work for a minute: deploy, kill an agent, watch it come back
	@.ci/demo

test: ready  ## run every test: real tmux, real processes, all private
	$(PYTEST) -n 4 --dist worksteal $(ARGS)  # most of them wait for something

lint: ready  ## ruff, mypy, and the direction of imports
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

simulate: ready  ## run the core through HOURS=2000 hours of faults in a made-up world
	$(PYTEST) tests/simulation --hours $(HOURS) $(if $(SEED),--seed $(SEED)) $(ARGS)

bench: ready  ## measure hive and, side by side, what others do
	$(PYTEST) tests/bench -m bench -s -n 0 --timeout 3600 $(ARGS)

acceptance: ready  ## play an agent's whole history with each real program, and a fake model
	.ci/agents
	$(PYTEST) tests/acceptance -m acceptance -n 2 --dist worksteal --durations 0 $(ARGS)

clean:  ## remove what the targets above have made
	rm -rf .venv .demo dist build .*_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
