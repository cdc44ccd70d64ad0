#!/usr/bin/env bash
# Checks the files of this folder with the tools that are there, and says what it skipped. Ends with 0 if nothing was
# found to be wrong.
#
#   NATS_SERVER  the program of the NATS server [default: nats-server]
#   PYTHON       a Python; with PyYAML, nats-py and nkeys it checks most [default: python3]
#   PROMTOOL     Prometheus' own checks [default: promtool]
#   LEADFOLD     the program, to try it with the rights that the NATS configuration gives it [default: not tried]
set -uo pipefail
cd "$(dirname "$0")" || exit 1
nats_server=${NATS_SERVER:-nats-server} python=${PYTHON:-python3} promtool=${PROMTOOL:-promtool}
failed=0

has() { command -v "$1" >/dev/null 2>&1; }
imports() { "$python" -c "import $1" >/dev/null 2>&1; }
skip() { echo "skip  $1"; }
check() { # what, command…
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then
    echo "ok    $what"
  else
    failed=1
    printf 'FAIL  %s\n%s\n' "$what" "$said" | sed '2,$s/^/      /'
  fi
}

alerts_and_runbook() {
  local alerts headings fragments
  alerts=$(sed -n 's/^ *- alert: *//p' prometheus/alerts.yaml)
  headings=$(sed -n '/^## Alerts/,/^## Start/s/^### //p' RUNBOOK.md)
  fragments=$(sed -n 's/^ *runbook_url: "RUNBOOK.md#\(.*\)"$/\1/p' prometheus/alerts.yaml)
  [ -n "$alerts" ] || { echo "there are no alerts"; return 1; }
  # In the same order, so that both are easy to read beside each other.
  diff <(echo "$alerts") <(echo "$headings") && diff <(echo "${alerts,,}") <(echo "$fragments")
}

links() {
  "$python" - <<'PYTHON'
import re, pathlib, sys
wrong = []
for page in map(pathlib.Path, ["RUNBOOK.md", "README.md"]):
    text = page.read_text()
    slug = lambda heading: re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
    anchors = {slug(heading) for heading in re.findall(r"(?m)^#+ (.*)$", text)}
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            wrong += [f"{page}: {target}"] if target[1:] not in anchors else []
        elif not pathlib.Path(target).exists():
            wrong.append(f"{page}: {target}")
sys.exit("\n".join(wrong) or 0)
PYTHON
}

shellcheck_or_syntax() {
  local script
  for script in check.sh systemd/leadfold-run; do
    if has shellcheck; then shellcheck "$script" || return 1; else bash -n "$script" || return 1; fi
  done
}

unit() { # systemd wants the program to be there.
  local folder
  folder=$(mktemp -d)
  sed "s|/usr/local/bin/leadfold|$(command -v true)|" systemd/leadfold.service >"$folder/leadfold.service"
  systemd-analyze verify "$folder/leadfold.service"
  local status=$?
  rm -r "$folder"
  return $status
}

with_example_keys() {
  (set -a && . ./nats/nkeys.env.example && "$@")
}

yaml() {
  "$python" -c 'import sys, yaml; [list(yaml.safe_load_all(open(path))) for path in sys.argv[1:]]' "$@"
}

# NATS
if has "$nats_server"; then
  check "nats-server.conf, as the server reads it" with_example_keys "$nats_server" -t -c nats/nats-server.conf
  if imports nats && imports nkeys; then
    check "rights of the NATS users${LEADFOLD:+, and the program with them}" \
      "$python" nats/check.py --nats-server "$nats_server" ${LEADFOLD:+--leadfold "$LEADFOLD"}
  else
    skip "rights of the NATS users: $python has no nats-py or no nkeys"
  fi
else
  skip "nats-server.conf and the rights of its users: there is no $nats_server (NATS_SERVER)"
fi

# Prometheus, Grafana
if has "$promtool"; then
  check "alerts.yaml" "$promtool" check rules prometheus/alerts.yaml
  check "scrape.yaml" "$promtool" check config prometheus/scrape.yaml
  check "tests of the alerts" "$promtool" test rules prometheus/alerts_test.yaml
else
  skip "alerts and their tests: there is no $promtool (PROMTOOL; Debian's package prometheus has it)"
fi
check "each alert has its heading in RUNBOOK.md, and the reverse" alerts_and_runbook

# Forms
if has "$python"; then
  for file in grafana/*.json nats/*/*.json; do
    check "$file is JSON" "$python" -m json.tool "$file" /dev/null
  done
  check "links within RUNBOOK.md and README.md" links
  if imports yaml; then
    check "YAML" yaml prometheus/*.yaml container/compose.yaml
  else
    skip "YAML: $python has no PyYAML"
  fi
else
  skip "JSON, YAML and links: there is no $python (PYTHON)"
fi
check "scripts" shellcheck_or_syntax

# systemd, containers
if has systemd-analyze; then
  check "leadfold.service" unit
else
  skip "leadfold.service: there is no systemd-analyze"
fi
skip "Containerfile and compose.yaml beyond their form: nothing here runs containers"

exit $failed
