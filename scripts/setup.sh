#!/usr/bin/env bash
# Installs what is missing to build Leadfold on Debian or Ubuntu; `setup.sh tests` adds what the tests need.
# Where nothing is missing it changes nothing and asks for no rights.
set -euo pipefail

fail() {
  echo "setup: $1" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# bindgen, which reads RocksDB's headers, loads libclang at build time.
has_libclang() {
  if [ -n "${LIBCLANG_PATH:-}" ]; then return 0; fi
  if has dpkg-query; then
    dpkg-query -W -f '${Package} ${db:Status-Status}\n' 'libclang*-dev' 2>/dev/null |
      grep -Eq '^libclang(-[0-9]+)?-dev installed$'
  else
    { ldconfig -p 2>/dev/null || true; } | grep -Fq libclang
  fi
}

missing_packages() {
  has g++ || echo g++
  has make || echo make
  has clang || echo clang
  has_libclang || echo libclang-dev
}

install_packages() {
  local packages=("$@")
  has apt-get ||
    fail "this machine lacks ${packages[*]} (Debian's names) and has no apt-get. Install them with its package manager."
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    has sudo || fail "run this as root: apt-get install ${packages[*]}"
    as_root=(sudo)
  fi
  echo "setup: installing ${packages[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}"
}

install_rust_component() {
  has rustup || fail "this Rust has no $1 and there is no rustup to add it. Install $1 the way Rust was installed."
  echo "setup: adding $1"
  rustup component add "$1"
}

has cargo || fail "there is no cargo. Install Rust 1.95 or later (https://rustup.rs), then try again."

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -gt 0 ]; then install_packages "${packages[@]}"; fi

if [ "${1:-}" = tests ]; then
  cargo fmt --version >/dev/null 2>&1 || install_rust_component rustfmt
  cargo clippy --version >/dev/null 2>&1 || install_rust_component clippy
  if ! cargo nextest --version >/dev/null 2>&1; then
    echo "setup: installing cargo-nextest, once; this takes some minutes"
    # Its own target folder: nothing of it is shared with ours.
    env -u CARGO_TARGET_DIR cargo install cargo-nextest --locked
  fi
fi
