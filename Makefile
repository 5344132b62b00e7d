# The commands of this repository. A recipe is one line; what is longer lives in dev/ or xtask/.
# CARGO_TARGET_DIR is respected everywhere.

ARGS ?=

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup run test test-quick check fmt fmt-check clippy tidy licences drift doc tests tests-quick js bench bench-smoke mutants fuzz generate

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## check for cargo, a C compiler and make; on Debian as root install what is missing
	@dev/setup

run: setup ## build the server and serve on 127.0.0.1:8080 with demo users (ARGS="--listen …" for more)
	cargo run --release --bin ostracon -- serve --demo $(ARGS)

test: setup check bench-smoke tests js ## everything: check, a short load run, all tests

test-quick: setup fmt-check clippy tests-quick ## format, clippy and the tests that finish in moments

check: fmt-check clippy tidy licences drift doc ## all checks without running tests

fmt: ## format the sources
	cargo fmt --all

fmt-check:
	@dev/step format cargo fmt --all --check

clippy:
	@dev/step clippy cargo clippy --workspace --all-targets -- -D warnings

tidy: ## layers, file heads, banned calls, links
	@dev/step tidy cargo xtask tidy

licences: ## licences, sources and banned crates of all dependencies
	@dev/step licences cargo xtask licences

drift:
	@dev/step drift cargo xtask generate --check

doc:
	@RUSTDOCFLAGS="-D warnings" dev/step doc cargo doc --workspace --no-deps --quiet

tests:
	@dev/step tests cargo test --workspace

tests-quick:
	@dev/step tests-quick cargo test --workspace --exclude ostracon

js: ## the JavaScript client: checks, build, size, tests against the server
	@dev/step js dev/js

generate: ## write the documents that are made from code
	cargo xtask generate

bench-smoke: ## three seconds of load against a fresh server; fails if a message is lost, doubled or out of order
	@dev/step bench-smoke dev/bench-smoke

bench: ## the whole table of workloads (ARGS="pairs group" for some)
	dev/bench $(ARGS)

mutants: ## take every guard away and see a test fail (ARGS="--only NAME" for one)
	cargo xtask mutants $(ARGS)

fuzz: ## long seeded runs of the fuzz tests (SEED=1 CASES=20000)
	dev/fuzz
