"""Publishes interactions with the Python client of NATS: structured, in binary mode, and one of them again."""

import asyncio
import json
import sys

import nats

SUBJECT = "leadfold.in.acme.web"
DATA = {"channel": "web", "action": "page.viewed", "visitor_id": "device-é"}


def attributes(id):
    return {
        "specversion": "1.0",
        "id": id,
        "source": "nats-py",
        "type": "leadfold.interaction.v1",
        "time": "2026-10-31T23:00:00Z",
    }


def binary(id):
    headers = {f"ce-{name}": value for name, value in attributes(id).items()}
    return json.dumps(DATA).encode(), headers | {"content-type": "application/json"}


def structured(id):
    return json.dumps(attributes(id) | {"data": DATA}).encode(), {"content-type": "application/cloudevents+json"}


async def main():
    connection = await nats.connect(sys.argv[1])
    stream = connection.jetstream()
    for payload, headers in [structured("one"), binary("two"), binary("one"), structured("two")]:
        acknowledged = await stream.publish(SUBJECT, payload, headers=headers)
        print(acknowledged.seq)
    await connection.close()


asyncio.run(main())
