#!/usr/bin/env python3
"""Shows what each user of nats-server.conf may do and may not do, on a real server.

usage: check.py [--nats-server PROGRAM] [--config FILE] [--leadfold PROGRAM]

Starts the server with that file (only ports and the store's folder differ), on free ports, with new keys and an empty
store in a temporary folder, and ends it afterwards. Needs nats-server 2.12 or later, and nats-py and nkeys:

    python3 -m venv venv && venv/bin/pip install nats-py nkeys
    venv/bin/python check.py --nats-server /usr/local/bin/nats-server

With --leadfold it also runs that program as the service's user: an interaction that the tenant's channel publishes, and
one that comes over HTTP, must reach the tenant's application as lead events.

Ends with 0 if everything was as it must be, else with 1.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

import nats
import nats.errors
import nkeys

HERE = Path(__file__).resolve().parent
SHOP = HERE.parent.parent / "examples" / "shop"
# The name in the server's environment, and the prefix of the user's inbox.
USERS = {
    "provisioner": ("NKEY_PROVISIONER", "_INBOX_provisioner"),
    "leadfold": ("NKEY_LEADFOLD", "_INBOX_leadfold"),
    "acme_web": ("NKEY_ACME_WEB", "_INBOX_acme_web"),
    "acme_desk": ("NKEY_ACME_DESK", "_INBOX_acme_desk"),
    "acme_crm": ("NKEY_ACME_CRM", "_INBOX_acme_crm"),
}
# How long an answer may take before the check fails.
PATIENCE = 10


class Failed(Exception):
    """Something was not as it must be."""


class User:
    """A connection, with what the server refused it."""

    def __init__(self, name):
        self.name = name
        self.refusals = asyncio.Queue()
        self.client = None

    async def connect(self, url, seed):
        async def on_error(error):
            if "permissions violation" in str(error).lower():
                await self.refusals.put(str(error))

        inbox = USERS[self.name][1].encode()
        self.client = await nats.connect(
            url, nkeys_seed_str=seed, inbox_prefix=inbox, error_cb=on_error, name=self.name, allow_reconnect=False
        )
        return self

    async def api(self, subject, question=None):
        """Asks JetStream; its errors are failures."""
        payload = json.dumps(question).encode() if question is not None else b""
        answer = json.loads((await self.client.request(f"$JS.API.{subject}", payload, timeout=PATIENCE)).data)
        if "error" in answer:
            raise Failed(f"{self.name}: {subject}: {answer['error']['description']}")
        return answer

    async def stored(self, subject, payload=b"{}"):
        """Publishes, and gives the number that the stream stored it under."""
        answer = json.loads((await self.client.request(subject, payload, timeout=PATIENCE)).data)
        if "seq" not in answer:
            raise Failed(f"{self.name}: {subject} was not stored: {answer}")
        return answer["seq"]

    async def may_not_publish(self, subject, payload=b"{}"):
        await self.client.publish(subject, payload, reply=self.client.new_inbox())
        await self._refused(subject)

    async def may_not_subscribe(self, subject):
        await self.client.subscribe(subject)
        await self._refused(subject)

    async def _refused(self, subject):
        # Answers come in order: a refusal is here before the answer to the ping that flush sends.
        await self.client.flush(timeout=PATIENCE)
        try:
            refusal = await asyncio.wait_for(self.refusals.get(), PATIENCE)
        except asyncio.TimeoutError:
            raise Failed(f"{self.name}: {subject} was not refused") from None
        if f'"{subject.lower()}"' not in refusal.lower():
            raise Failed(f"{self.name}: {subject} was to be refused, and the server said: {refusal}")

    async def pull(self, stream, consumer, count):
        """Asks a consumer for messages, as a reader that acknowledges nothing does."""
        inbox = self.client.new_inbox()
        subscription = await self.client.subscribe(inbox)
        question = json.dumps({"batch": count, "expires": PATIENCE * 10**9}).encode()
        await self.client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", question, reply=inbox)
        messages = [await subscription.next_msg(timeout=PATIENCE) for _ in range(count)]
        await subscription.unsubscribe()
        return messages


def read(path):
    return json.loads((HERE / path).read_text())


def check(condition, what):
    if not condition:
        raise Failed(what)


async def provisioner_makes_what_is_needed(users):
    provisioner = users["provisioner"]
    for stream in ("LEADFOLD_IN", "LEADFOLD_OUT"):
        config = read(f"streams/{stream}.json")
        made = (await provisioner.api(f"STREAM.CREATE.{stream}", config))["config"]
        differing = [name for name, value in config.items() if made.get(name, False) != value]
        check(not differing, f"the server made {stream} with another {', '.join(differing)}")
    consumer = {"stream_name": "LEADFOLD_OUT", "config": read("consumers/acme_crm.json"), "action": "create"}
    await provisioner.api("CONSUMER.CREATE.LEADFOLD_OUT.acme_crm.leadfold.out.acme.>", consumer)


async def provisioner_deletes_nothing(users):
    provisioner = users["provisioner"]
    for subject in ("STREAM.DELETE.LEADFOLD_IN", "STREAM.PURGE.LEADFOLD_IN", "STREAM.CREATE.OTHER"):
        await provisioner.may_not_publish(f"$JS.API.{subject}")
    await provisioner.may_not_publish("leadfold.in.acme.web")


async def channel_publishes_for_its_tenant(users):
    web = users["acme_web"]
    check(await web.stored("leadfold.in.acme.web") == 1, "the first message is not number 1")
    check(await web.stored("leadfold.in.acme.chat") == 2, "the second message is not number 2")


async def channel_reaches_nothing_else(users):
    web = users["acme_web"]
    for subject in (
        "leadfold.in.other.web",
        "leadfold.cmd.acme",
        "leadfold.out.acme.lead-opened",
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.LEADFOLD_IN",
        "$JS.API.STREAM.PURGE.LEADFOLD_IN",
        "$JS.API.STREAM.MSG.GET.LEADFOLD_IN",
        "$JS.API.CONSUMER.CREATE.LEADFOLD_IN.mine",
    ):
        await web.may_not_publish(subject)
    for subject in ("leadfold.in.acme.>", "leadfold.out.acme.>", ">", "_INBOX.>", "_INBOX_leadfold.>", "$JS.ACK.>"):
        await web.may_not_subscribe(subject)


async def desk_sends_commands_of_its_tenant(users):
    desk = users["acme_desk"]
    check(await desk.stored("leadfold.cmd.acme") == 3, "the command is not number 3")
    for subject in ("leadfold.cmd.other", "leadfold.in.acme.web", "$JS.API.STREAM.INFO.LEADFOLD_IN"):
        await desk.may_not_publish(subject)


async def service_reads_in_order(users):
    service = users["leadfold"]
    state = (await service.api("STREAM.INFO.LEADFOLD_IN"))["state"]
    check(state["last_seq"] == 3, f"the stream ends at {state['last_seq']}")
    config = {
        "name": "leadfold-check",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": 1,
        "ack_policy": "none",
        "replay_policy": "instant",
        "inactive_threshold": 60 * 10**9,
        "mem_storage": True,
        "num_replicas": 1,
    }
    question = {"stream_name": "LEADFOLD_IN", "config": config, "action": "create"}
    await service.api("CONSUMER.CREATE.LEADFOLD_IN.leadfold-check", question)
    subjects = [message.subject for message in await service.pull("LEADFOLD_IN", "leadfold-check", 3)]
    expected = ["leadfold.in.acme.web", "leadfold.in.acme.chat", "leadfold.cmd.acme"]
    check(subjects == expected, f"the service read {subjects}")
    await service.api("CONSUMER.INFO.LEADFOLD_IN.leadfold-check")
    message = (await service.api("STREAM.MSG.GET.LEADFOLD_IN", {"seq": 2}))["message"]
    check(message["subject"] == "leadfold.in.acme.chat", "message 2 is another one")
    await service.api("CONSUMER.DELETE.LEADFOLD_IN.leadfold-check")


async def service_publishes_commands_and_lead_events(users):
    service = users["leadfold"]
    check(await service.stored("leadfold.cmd.acme") == 4, "the command is not number 4")
    await service.api("STREAM.INFO.LEADFOLD_OUT")
    check(await service.stored("leadfold.out.acme.lead-opened") == 1, "the lead event is not number 1")
    check(await service.stored("leadfold.out.other.lead-opened") == 2, "the lead event is not number 2")
    check(await service.stored("leadfold.in.acme.http") == 5, "what comes over HTTP is not number 5")
    for subject in (
        "leadfold.in.acme.web",
        "$JS.API.STREAM.CREATE.LEADFOLD_IN",
        "$JS.API.STREAM.UPDATE.LEADFOLD_IN",
        "$JS.API.STREAM.DELETE.LEADFOLD_IN",
        "$JS.API.STREAM.PURGE.LEADFOLD_IN",
        "$JS.API.CONSUMER.CREATE.LEADFOLD_OUT.mine",
    ):
        await service.may_not_publish(subject)
    await service.may_not_subscribe("_INBOX_acme_web.>")


async def application_follows_its_tenant(users):
    crm, service = users["acme_crm"], users["leadfold"]
    [message] = await crm.pull("LEADFOLD_OUT", "acme_crm", 1)
    check(message.subject == "leadfold.out.acme.lead-opened", f"the application read {message.subject}")
    await message.ack_sync(timeout=PATIENCE)
    pending = (await crm.api("CONSUMER.INFO.LEADFOLD_OUT.acme_crm"))["num_pending"]
    check(pending == 0, f"{pending} messages are left, so another tenant's are among them")
    live = await crm.client.subscribe("leadfold.out.acme.>")
    await crm.client.flush(timeout=PATIENCE)
    await service.stored("leadfold.out.other.lead-closed")
    await service.stored("leadfold.out.acme.lead-closed")
    subject = (await live.next_msg(timeout=PATIENCE)).subject
    check(subject == "leadfold.out.acme.lead-closed", f"the application was sent {subject}")
    for subject in (
        "$JS.API.CONSUMER.CREATE.LEADFOLD_OUT.mine",
        "$JS.API.CONSUMER.DELETE.LEADFOLD_OUT.acme_crm",
        "$JS.API.CONSUMER.MSG.NEXT.LEADFOLD_OUT.other_crm",
        "$JS.API.STREAM.MSG.GET.LEADFOLD_OUT",
        "leadfold.out.acme.lead-opened",
        "leadfold.cmd.acme",
    ):
        await crm.may_not_publish(subject)
    await crm.may_not_subscribe("leadfold.out.other.>")
    await crm.may_not_subscribe("leadfold.out.>")


async def strangers_stay_out(url):
    async def is_expected(_):
        pass

    seed, _ = new_key()
    for credentials in ({}, {"nkeys_seed_str": seed}):
        try:
            client = await nats.connect(url, allow_reconnect=False, error_cb=is_expected, **credentials)
        except (nats.errors.Error, OSError):
            continue
        await client.close()
        raise Failed("somebody without a known key was let in")


def event(number):
    """An interaction of a new visitor of the example shop."""
    event = json.loads((SHOP / "interactions.ndjson").read_text().splitlines()[0])
    event["id"] = event["data"]["visitor_id"] = f"check-{number}"
    event["time"] = datetime.now(timezone.utc).isoformat()
    return json.dumps(event).encode()


async def run_leadfold(users, program, url, seed, folder):
    """The program itself, with no more rights than the file gives it."""
    data, key, said = Path(folder) / "data", Path(folder) / "leadfold.nk", Path(folder) / "leadfold.log"
    key.write_text(seed)
    key.chmod(0o600)
    start = [program, "--data", str(data)]
    subprocess.run(start + ["policy", "adopt", str(SHOP / "policy.toml")], check=True, stdout=subprocess.DEVNULL)
    live = await users["acme_crm"].client.subscribe("leadfold.out.acme.>")
    await users["acme_crm"].client.flush(timeout=PATIENCE)
    nats_options = ["--nats", url, "--nats-nkey", str(key), "--nats-inbox-prefix", USERS["leadfold"][1]]
    command = start + ["serve", "--listen", "127.0.0.1:0", "--nats-no-create"] + nats_options
    with said.open("w") as log:
        service = subprocess.Popen(command, env=os.environ | {"LEADFOLD_LOG": "info"}, stdout=log, stderr=log)
    try:
        await users["acme_web"].stored("leadfold.in.acme.web", event(1))
        first = json.loads((await live.next_msg(timeout=PATIENCE * 3)).data)
        address = (data / "address").read_text().strip()
        headers = {"content-type": "application/cloudevents+json"}
        request = urllib.request.Request(f"{address}/v1/events", event(2), headers)
        answer = await asyncio.to_thread(urllib.request.urlopen, request, timeout=PATIENCE)
        check(answer.status == 202, f"the service answered {answer.status}")
        while json.loads((await live.next_msg(timeout=PATIENCE)).data)["type"] != first["type"]:
            pass
    except (nats.errors.TimeoutError, OSError) as error:
        raise Failed(f"leadfold: {error!r}\n{said.read_text()}") from None
    finally:
        service.send_signal(signal.SIGTERM)
        ended = await asyncio.to_thread(service.wait)
    check(ended == 0, f"leadfold has ended with {ended}:\n{said.read_text()}")
    check("may not use the subject" not in said.read_text(), f"leadfold lacks a right:\n{said.read_text()}")
    print("ok  leadfold works with these rights")


CHECKS = [
    provisioner_makes_what_is_needed,
    provisioner_deletes_nothing,
    channel_publishes_for_its_tenant,
    channel_reaches_nothing_else,
    desk_sends_commands_of_its_tenant,
    service_reads_in_order,
    service_publishes_commands_and_lead_events,
    application_follows_its_tenant,
]


def new_key():
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    return seed.decode(), nkeys.from_seed(bytearray(seed)).public_key.decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def wait_until_it_listens(server, port, log):
    while True:
        if server.poll() is not None:
            raise Failed(f"the server has ended with {server.returncode}:\n{log.read_text()}")
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        greeting = await reader.readline()
        writer.close()
        if greeting.startswith(b"INFO "):
            return


async def run_checks(url, seeds, leadfold, folder):
    await strangers_stay_out(url)
    print("ok  strangers stay out")
    users = {name: await User(name).connect(url, seeds[name]) for name in USERS}
    try:
        for each in CHECKS:
            await each(users)
            print("ok ", each.__name__.replace("_", " "))
        if leadfold:
            await run_leadfold(users, leadfold, url, seeds["leadfold"], folder)
    finally:
        for user in users.values():
            await user.client.close()


async def main(program, config, leadfold=None):
    keys = {name: new_key() for name in USERS}
    environment = os.environ | {USERS[name][0]: public for name, (_, public) in keys.items()}
    seeds = {name: seed for name, (seed, _) in keys.items()}
    with tempfile.TemporaryDirectory(prefix="leadfold-nats-") as folder:
        port, log, moved = free_port(), Path(folder) / "log", Path(folder) / "nats-server.conf"
        # The server takes the folder from its file or its command line, but not from both.
        text, count = re.subn(r'(?m)^(\s*store_dir:).*$', rf'\1 "{folder}/store"', config.read_text())
        check(count == 1, f"{config} must have one line with store_dir")
        moved.write_text(text)
        command = [program, "-c", str(moved), "-l", str(log)]
        command += ["-a", "127.0.0.1", "-p", str(port), "-m", str(free_port())]
        log.touch()
        server = subprocess.Popen(command, env=environment, stderr=log.open("a"))
        try:
            await asyncio.wait_for(wait_until_it_listens(server, port, log), PATIENCE * 2)
            await run_checks(f"nats://127.0.0.1:{port}", seeds, leadfold, folder)
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGTERM)
                server.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nats-server", default="nats-server", metavar="PROGRAM")
    parser.add_argument("--config", default=HERE / "nats-server.conf", type=Path, metavar="FILE")
    parser.add_argument("--leadfold", metavar="PROGRAM")
    options = parser.parse_args()
    try:
        asyncio.run(main(options.nats_server, options.config, options.leadfold))
    except (Failed, OSError, asyncio.TimeoutError, nats.errors.Error) as failure:
        print(f"FAILED  {failure or type(failure).__name__}", file=sys.stderr)
        sys.exit(1)
