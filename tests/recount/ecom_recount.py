#!/usr/bin/env python3
"""Counts the leads of a clickstream table once more, by its own road.

Reads the table (CSV, plain or gzip) and the policy (TOML), applies the rules of leads as they are written down, and
prints one JSON object a lead, sorted by user and opening time, and at last one with the totals. It shares no code with
the engine: where the two disagree about a lead, one of them is wrong.

    ecom_recount.py TABLE POLICY [--mapping MAPPING] [--order time|file] [--close-after PERIOD]
                    [--totals-only]

The rules, for each user by itself, in order of time and, at equal times, of the file:

 1. Leads of the user whose deadline is at or before the interaction's time close at their deadline (inactivity).
 2. The interaction's skill, if the policy knows it, or else its channel names a default type and further allowed types.
 3. Candidates are the open leads of an allowed type. One takes the interaction. Of several it is the one with the
    latest last interaction; then the one opened last; then the one with the smaller number.
 4. Without a candidate a lead of the default type is opened. Without a default type, or without a rule, the
    interaction is an orphan.
 5. A lead's deadline is its first or its last interaction plus its type's period.
 6. An interaction whose action converts the lead's type closes it there and then (conversion).

After the last interaction of the table one tick with the latest time of all closes what timed out until then.
With --close-after every lead type has this period instead of its own, which is a question of the kind "what if".

There are no customers, commands or orders in such a table, so nothing else can happen.

Only the standard library is needed (Python 3.11 or later).
"""

import argparse
import csv
import gzip
import io
import json
import sys
import tomllib
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def period(text):
    """`7d` as a time span."""
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])})


def shown(time):
    """RFC 3339 in UTC, without fractions where there are none."""
    if time is None:
        return None
    if time.microsecond:
        return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z"
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


class Policy:
    """What the rules need of the document."""

    def __init__(self, document, close_after=None):
        self.types = {}
        for lead_type in document["lead_type"]:
            conversions = lead_type.get("converts_on", [])
            if any("attributes" in rule for rule in conversions):
                sys.exit("this recount knows no conversions by attributes")
            self.types[lead_type["name"]] = {
                "close_after": period(close_after or lead_type["close_after"]),
                "from_first": lead_type.get("counted_from", "last_interaction") == "first_interaction",
                "active": lead_type.get("active", True),
                # A table without sale values has sales of 0.
                "converts_on": {rule["action"] for rule in conversions if rule.get("min_value", 0) <= 0},
            }
        self.channels = self.entry_points(document.get("channel", []))
        self.skills = self.entry_points(document.get("skill", []))

    @staticmethod
    def entry_points(points):
        found = {}
        for point in points:
            if point.get("pick", "most_recent") != "most_recent":
                sys.exit("this recount knows no scores")
            default = point.get("default_lead_type")
            allowed = set(point.get("also_allowed", [])) | ({default} if default else set())
            found[point["name"]] = (default, allowed)
        return found

    def rule(self, skill, channel):
        """Default type and allowed types of an interaction."""
        return self.skills.get(skill) or self.channels.get(channel) or (None, set())


class Lead:
    """One lead of one user; `number` is its place in the user's order of opening, from 1."""

    def __init__(self, user, number, lead_type, at):
        self.user, self.number, self.lead_type = user, number, lead_type
        self.opened_at = self.first = self.last = at
        self.closed_at = None
        self.cause = None
        self.interactions = 0
        self.deadline = None

    def take(self, at, rules):
        self.interactions += 1
        self.first = min(self.first, at)
        self.last = max(self.last, at)
        anchor = self.first if rules["from_first"] else self.last
        self.deadline = max(anchor + rules["close_after"], self.last)

    def close(self, at, cause):
        self.closed_at, self.cause = at, cause

    def row(self):
        return {
            "user": self.user,
            "number": self.number,
            "lead_type": self.lead_type,
            "status": "closed" if self.cause else "open",
            "close_cause": self.cause,
            "opened_at": shown(self.opened_at),
            "closed_at": shown(self.closed_at),
            "deadline": shown(self.deadline),
            "first_interaction_at": shown(self.first),
            "last_interaction_at": shown(self.last),
            "interactions": self.interactions,
        }


def time_out(leads, now):
    """Closes the leads whose time has come: one exactly at its deadline is closed."""
    for lead in leads:
        if lead.cause is None and lead.deadline <= now:
            lead.close(lead.deadline, "inactivity")


def leads_of(user, rows, policy):
    """The leads of one user, with counts; `rows` are (time, place in the file, skill, channel, action)."""
    leads, counts = [], Counter()
    for at, _, skill, channel, action in rows:
        time_out(leads, at)
        default, allowed = policy.rule(skill, channel)
        candidates = [lead for lead in leads if lead.cause is None and lead.lead_type in allowed]
        counts["several_candidates"] += len(candidates) > 1
        if candidates:
            taker = max(candidates, key=lambda lead: (lead.last, lead.opened_at, -lead.number))
        elif default and policy.types[default]["active"]:
            taker = Lead(user, len(leads) + 1, default, at)
            leads.append(taker)
        else:
            counts["orphans"] += 1
            continue
        rules = policy.types[taker.lead_type]
        taker.take(at, rules)
        if action in rules["converts_on"]:
            taker.close(at, "conversion")
    return leads, counts


def table_rows(path, actions, skills):
    """(user, time, place, skill, channel, action) of each row."""
    raw = gzip.open(path) if open(path, "rb").read(2) == b"\x1f\x8b" else open(path, "rb")
    with raw, io.TextIOWrapper(raw, encoding="utf-8", newline="") as text:
        for place, row in enumerate(csv.DictReader(text)):
            at = datetime.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
            word = row["event"]
            yield row["user_id"], at, place, skills.get(word), row["acquisition_channel"], actions.get(word, word)


def recount(rows, policy, order):
    """All leads, and the totals."""
    by_user, totals = defaultdict(list), Counter()
    for user, at, *rest in rows:
        history = by_user[user]
        totals["out_of_order"] += bool(history) and at < history[-1][0]
        history.append((at, *rest))
        totals["interactions"] += 1
    now = max(at for history in by_user.values() for at, *_ in history)
    leads = []
    for user in sorted(by_user):
        history = sorted(by_user[user], key=lambda row: row[:2]) if order == "time" else by_user[user]
        found, counts = leads_of(user, history, policy)
        time_out(found, now)
        totals.update(counts)
        leads.extend(found)
        # A lead that an interaction found closed at its deadline converted "later" also at that very moment.
        sold = [lead.closed_at for lead in found if lead.cause == "conversion"]
        timed_out = [lead for lead in found if lead.cause == "inactivity"]
        totals["timed_out_converted_later"] += sum(any(at >= lead.closed_at for at in sold) for lead in timed_out)
    totals["orphans"] += 0
    totals["users"] = len(by_user)
    totals["leads"] = len(leads)
    for lead in leads:
        totals[lead.cause or "open"] += 1
        totals[f"{lead.lead_type}.{lead.cause or 'open'}"] += 1
        totals["attached"] += lead.interactions
    return leads, totals, now


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table")
    parser.add_argument("policy")
    parser.add_argument("--mapping", help="TOML with [actions] and [skills]; without it the table's words are the actions")
    parser.add_argument("--order", choices=["time", "file"], default="time")
    parser.add_argument("--close-after", metavar="PERIOD", help="such as 3d, for every lead type")
    parser.add_argument("--totals-only", action="store_true")
    arguments = parser.parse_args()
    with open(arguments.policy, "rb") as file:
        policy = Policy(tomllib.load(file), arguments.close_after)
    mapping = {}
    if arguments.mapping:
        with open(arguments.mapping, "rb") as file:
            mapping = tomllib.load(file)
    rows = table_rows(arguments.table, mapping.get("actions", {}), mapping.get("skills", {}))
    leads, totals, now = recount(rows, policy, arguments.order)
    if not arguments.totals_only:
        for lead in sorted(leads, key=lambda lead: (lead.user, lead.opened_at, lead.number)):
            print(json.dumps(lead.row()))
    print(json.dumps({"totals": dict(sorted(totals.items())), "tick_at": shown(now)}))


if __name__ == "__main__":
    main()
