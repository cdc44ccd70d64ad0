# Everything is built with the one profile and for the whole workspace at once: features then unify the same way in
# every command, and RocksDB's C++ is compiled once. A command for a single package may compile it again.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-tests build run bench bench-quick bench-growth bench-models peers test soak instructions instructions-update lint format-check clippy unit-tests doc-tests docs supply-chain clean-data

CARGO_FLAGS ?= --locked
DATA ?= leadfold-data
LISTEN ?= 127.0.0.1:8080
LEADFOLD := $(or $(CARGO_TARGET_DIR),target)/release/leadfold
BENCHES := $(dir $(LEADFOLD))benches --leadfold $(LEADFOLD)
PEERS := $(or $(CARGO_TARGET_DIR),benches/peers/target)/release/peers
INSTRUCTIONS = cargo build $(CARGO_SCOPE) --bin leadfold --bin instructions && \
	$(LEADFOLD) generate --seed 7 --visitors 400 --interactions 4000 --duplicates 0 -o $(TRAFFIC) 2>/dev/null && \
	$(dir $(LEADFOLD))instructions
TRAFFIC = $(dir $(LEADFOLD))counted.ndjson
COUNTED = --expected benches/instructions/expected.json --traffic $(TRAFFIC) --policy examples/shop/policy.toml
CARGO_SCOPE := --workspace --release $(CARGO_FLAGS)

define heading
	@printf '\n== %s\n' '$(1)'
endef

help: ## List the targets
	@echo 'Leadfold. The first build takes about half an hour on two cores, because RocksDB and DataFusion are compiled once.'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1 \2/p' $(firstword $(MAKEFILE_LIST)) | \
		while read -r target does; do printf '  make %-12s%s\n' "$$target" "$$does"; done
	@echo
	@echo 'DATA=folder moves the data folder of "make run" (now $(DATA)).'

setup: ## Install what a build needs and this machine lacks (Debian, Ubuntu)
	@scripts/setup.sh

build: setup ## Build the program
	$(call heading,Build)
	cargo build $(CARGO_SCOPE)

run: build ## Build, import the last weeks of a made-up shop, and serve its leads
	$(call heading,Data folder)
	@if [ -e '$(DATA)' ]; then echo '$(DATA) is there and is kept.'; else echo '$(DATA) is new.'; fi
	$(call heading,Policy)
	$(LEADFOLD) --data '$(DATA)' policy adopt examples/shop/policy.toml
	$(call heading,Interactions)
	@if [ -e '$(DATA)/sample' ]; then echo 'The sample was imported before.'; else \
	set -ex; $(LEADFOLD) generate --visitors 500 --interactions 3000 --seed 42 --days 28 \
		--start "$$(date -u -d '29 days ago' +%FT00:00:00Z)" -o '$(DATA)/sample.ndjson'; \
	$(LEADFOLD) --data '$(DATA)' import '$(DATA)/sample.ndjson'; touch '$(DATA)/sample'; fi
	$(call heading,Leads)
	$(LEADFOLD) --data '$(DATA)' leads --limit 10
	$(call heading,Service)
	@echo 'Open http://$(LISTEN)/docs in a browser, or in another terminal:'
	@echo '  curl "http://$(LISTEN)/v1/leads?status=open&limit=3"'
	@echo '  $(LEADFOLD) --data $(DATA) lead ID --timeline   # why a lead is as it is; take an ID from the list'
	@echo '  examples/shop/send.sh http://$(LISTEN)          # one more visit, and what it led to'
	@echo 'Ctrl-C stops it; nothing is lost. LISTEN=address takes another place.'
	$(LEADFOLD) --data '$(DATA)' serve --listen '$(LISTEN)'

bench: build peers ## Measure every path beside ceilings and peers: a table and plots in bench-results (half an hour)
	$(call heading,Everything side by side)
	$(BENCHES) --peers $(PEERS) --visitors 100000 --interactions 1000000

bench-quick: build peers ## The same with less traffic, once (five minutes)
	$(call heading,Everything side by side)
	$(BENCHES) --peers $(PEERS) --peer-seconds 3 --visitors 20000 --interactions 200000 --rounds 1

bench-growth: build ## Measure how each path changes from 100 k to 1 M and 10 M leads (half an hour, 40 GB)
	$(BENCHES) --what growth --sizes 100000,1000000,10000000 --per-lead 2

bench-models: build ## Measure both read models beside PostgreSQL at 10 k, 100 k and 1 M leads; not in CI
	$(BENCHES) --what models --leads 10000
	$(BENCHES) --what models --leads 100000
	$(BENCHES) --what models --leads 1000000

peers: setup-tests
	@scripts/setup.sh peers
	$(call heading,What starts the peers)
	cargo build --release --all-features $(CARGO_FLAGS) --manifest-path benches/peers/Cargo.toml

test: format-check clippy unit-tests instructions doc-tests docs supply-chain ## Run every check; the first failure stops
	$(call heading,All checks passed)

soak: setup-tests ## Kill, stall and cut off service and server again and again (LEADFOLD_SOAK=8 times as long as in "test")
	$(call heading,Faults)
	LEADFOLD_SOAK=$${LEADFOLD_SOAK:-8} cargo nextest run $(CARGO_SCOPE) --profile soak

lint: format-check clippy ## Check format and lints only

setup-tests:
	@scripts/setup.sh tests

format-check: setup-tests
	$(call heading,Format)
	cargo fmt --all --check
	cargo fmt --all --check --manifest-path benches/peers/Cargo.toml

clippy: setup-tests
	$(call heading,Lints)
	cargo clippy $(CARGO_SCOPE) --all-targets -- -D warnings
	cargo clippy --release $(CARGO_FLAGS) --manifest-path benches/peers/Cargo.toml --all-targets -- -D warnings

unit-tests: setup-tests
	$(call heading,Tests)
	cargo nextest run $(CARGO_SCOPE)

instructions: setup-tests ## Compare instructions of deciding, folding, encoding and decoding with the committed counts
	$(call heading,Instructions)
	$(INSTRUCTIONS) check $(COUNTED)

instructions-update: setup-tests ## Write the counts of instructions down as they are now
	$(INSTRUCTIONS) update $(COUNTED)

doc-tests: setup-tests
	$(call heading,Examples in documentation)
	cargo test --doc $(CARGO_SCOPE)

docs: setup-tests
	$(call heading,Documentation)
	RUSTDOCFLAGS='-D warnings' cargo doc --no-deps $(CARGO_SCOPE)

supply-chain:
	$(call heading,Licences and sources of dependencies)
	@if cargo deny --version >/dev/null 2>&1; then cargo deny $(CARGO_FLAGS) check bans licenses sources; \
	else echo 'skipped: cargo-deny is not installed (cargo install cargo-deny --locked)'; fi

clean-data: ## Delete the data folder of "make run"
	rm -rf -- '$(DATA)'
