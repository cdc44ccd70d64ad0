#!/usr/bin/env bash
# Sends one visit to a running service, and shows what was decided about it: `send.sh [URL]`.
set -euo pipefail

url="${1:-http://127.0.0.1:8080}"
now="$(date -u +%FT%TZ)"
visit="$(date +%s%N)"

send() {
  local action="$1" more="$2"
  curl --fail-with-body -sS "$url/v1/events?wait=decided" -H 'content-type: application/cloudevents+json' --data @- <<EVENT
{"specversion": "1.0", "id": "$visit-$action", "source": "send.sh", "type": "leadfold.interaction.v1", "time": "$now",
 "data": {"visitor_id": "send-$visit", "channel": "web", "action": "$action" $more}}
EVENT
  echo
}

send product.viewed ', "product": {"id": "NET-OFF", "name": "Office 500", "category": "broadband"}'
send form.submitted ', "email": "visitor-'"$visit"'@example.com", "contact": {"name": "Kim Example"}'
