"""Sends interactions with the CloudEvents SDK, in each of its modes; prints what became of each, one JSON text a line."""

import json
import sys
import warnings
from datetime import datetime, timezone

import requests

warnings.simplefilter("ignore", DeprecationWarning)

from cloudevents.core.bindings import http as core  # noqa: E402
from cloudevents.core.v1.event import CloudEvent  # noqa: E402
from cloudevents.v1 import http as v1  # noqa: E402

url = sys.argv[1] + "/v1/events"
data = {"channel": "web", "action": "page.viewed", "visitor_id": "device-é", "contact": {"name": "Zoë"}}


def attributes(id):
    time = datetime(2026, 10, 31, 23, 0, tzinfo=timezone.utc)
    source = "https://acme.example.com/web"
    return {"id": id, "source": source, "type": "leadfold.interaction.v1", "specversion": "1.0", "time": time}


def old(id):
    return v1.CloudEvent(attributes(id) | {"time": "2026-10-31T23:00:00Z"}, data)


def send(headers, body):
    answer = requests.post(url, headers=headers, data=body, timeout=30)
    print(json.dumps({"status": answer.status_code, "answer": answer.json()}))


send(*v1.to_structured(old("v1-structured")))
send(*v1.to_binary(old("v1-binary")))
for mode, encode in [("structured", core.to_structured_event), ("binary", core.to_binary_event)]:
    # An id that a header can't hold as it is.
    message = encode(CloudEvent(attributes(f"core-{mode}-é 100%") | {"datacontenttype": "application/json"}, data))
    send(dict(message.headers), message.body)
# The other mode says the same, so the event is there already.
send(*v1.to_binary(old("v1-structured")))
send(*v1.to_structured(old("v1-binary")))
message = core.to_structured_event(CloudEvent(attributes("core-binary-é 100%") | {"datacontenttype": "application/json"}, data))
send(dict(message.headers), message.body)
