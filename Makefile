# Everything is built with the one profile and for the whole workspace at once: features then unify the same way in
# every command, and RocksDB's C++ is compiled once. A command for a single package may compile it again.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-tests build run bench bench-models bench-peers test soak lint format-check clippy unit-tests doc-tests docs supply-chain clean-data

CARGO_FLAGS ?= --locked
DATA ?= leadfold-data
LISTEN ?= 127.0.0.1:8080
LEADFOLD := $(or $(CARGO_TARGET_DIR),target)/release/leadfold
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

bench: build setup-tests ## Measure import, feed, HTTP, latency and pages beside the machine's ceilings (a quarter of an hour)
	$(call heading,Import and its ceilings)
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD)
	$(call heading,A service fed by NATS)
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD) --what feed
	$(call heading,A service fed over HTTP)
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD) --what http
	$(call heading,From an interaction to the listing)
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD) --what latency
	$(call heading,A page of the listing)
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD) --what page --visitors 750000 --interactions 3500000

bench-models: build ## Measure both read models beside PostgreSQL at 10 k, 100 k and 1 M leads; not in CI
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD) --what models --leads 10000
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD) --what models --leads 100000
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD) --what models --leads 1000000

bench-peers: build ## Measure an import beside PostgreSQL as an event store (some minutes)
	@scripts/setup.sh peers
	cargo run --release $(CARGO_FLAGS) --manifest-path benches/peers/Cargo.toml -- --leadfold $(LEADFOLD)

test: format-check clippy unit-tests doc-tests docs supply-chain ## Run every check; the first failure stops
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
