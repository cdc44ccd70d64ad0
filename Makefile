# Everything is built with the one profile and for the whole workspace at once: features then unify the same way in
# every command, and RocksDB's C++ is compiled once. A command for a single package may compile it again.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-tests build run bench test lint format-check clippy unit-tests doc-tests docs supply-chain clean-data

CARGO_FLAGS ?= --locked
DATA ?= leadfold-data
LEADFOLD := $(or $(CARGO_TARGET_DIR),target)/release/leadfold
CARGO_SCOPE := --workspace --release $(CARGO_FLAGS)

define heading
	@printf '\n== %s\n' '$(1)'
endef

help: ## List the targets
	@echo 'Leadfold. The first build takes about 18 minutes on two cores, because RocksDB is compiled once.'
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

run: build ## Build, import the example shop, and list its leads
	$(call heading,Data folder)
	@if [ -e '$(DATA)' ]; then echo '$(DATA) is there and is kept: what it holds already is not recorded again.'; \
	else echo '$(DATA) is new.'; fi
	$(call heading,Policy)
	$(LEADFOLD) --data '$(DATA)' policy adopt examples/shop/policy.toml
	$(call heading,Interactions)
	$(LEADFOLD) --data '$(DATA)' import examples/shop/interactions.ndjson
	$(call heading,Leads)
	$(LEADFOLD) --data '$(DATA)' leads --limit 10
	$(call heading,What to try next)
	@echo '  $(LEADFOLD) --data $(DATA) lead ID --timeline   # why a lead is as it is; take an ID from the list'
	@echo '  $(LEADFOLD) --data $(DATA) leads --status open --json'
	@echo '  $(LEADFOLD) --data $(DATA) orphans              # interactions that no lead could take'
	@echo '  $(LEADFOLD) --data $(DATA) verify               # check the log, and that it gives these leads'
	@echo '  $(LEADFOLD) --help'

bench: build ## Measure an import beside the machine's ceilings (some minutes)
	$(call heading,Import and its ceilings)
	$(dir $(LEADFOLD))benches --leadfold $(LEADFOLD)

test: format-check clippy unit-tests doc-tests docs supply-chain ## Run every check; the first failure stops
	$(call heading,All checks passed)

lint: format-check clippy ## Check format and lints only

setup-tests:
	@scripts/setup.sh tests

format-check: setup-tests
	$(call heading,Format)
	cargo fmt --all --check

clippy: setup-tests
	$(call heading,Lints)
	cargo clippy $(CARGO_SCOPE) --all-targets -- -D warnings

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
