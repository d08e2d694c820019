# `make run` starts iofold, `make test` checks everything; both build and install what is missing.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run test check coverage test-deps sandbox bench

help: ## What can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: ## Build what is missing and start the service; with nothing configured, the playground
	@script/build
	@exec $(TARGET)/release/iofold serve

test: test-deps check coverage ## Install what the tests need and run all of them, with coverage

check: ## Format, lints (warnings are errors), and that the Python guest is its recipe's
	script/check-sandbox
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings

coverage: ## All tests; prints the line coverage of src/ and fails under 80 %
	script/coverage

test-deps:
	@script/test-deps

sandbox: ## Build the Python guest again by its recipe and compare it with sandbox/SHA256SUMS
	sandbox/build.sh

bench: ## The figures of the README: generation (DATA=folder of labelled sets) and the sandbox
	cargo bench --locked --bench induction -- $(DATA)
	cargo bench --locked --bench digest -- $(firstword $(DATA))
	script/bench-deps
	cargo bench --locked --bench sandbox
