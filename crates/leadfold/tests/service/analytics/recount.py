"""Counts again, row by row, what reports say: from what was sent, and from the leads and timelines of the API.

Knows neither the tables nor SQL. Prints how many cells it compared, or what differs.
"""

import json
import math
import sys
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from zoneinfo import ZoneInfo

world = json.load(open(sys.argv[1]))
NOW = None


def millis(text):
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return round((at - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 1000)


def moment(at, zone):
    return (datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(milliseconds=at)).astimezone(zone)


def attributes(found):
    text = lambda value: value if isinstance(value, str) else json.dumps(value)
    return {f"attr.{name}": text(value) for name, value in (found or {}).items()}


sent = {}
for line in world["sent"].splitlines():
    event = json.loads(line)
    sent.setdefault((event["source"], event["id"]), event)

sold_at, lead_of, touches, facts = {}, {}, defaultdict(list), {}
for lead, timeline in world["timelines"].items():
    for record in timeline:
        for place, event in enumerate(record["events"]):
            if event["event"] in ("lead_opened", "conversion_recorded", "lead_closed"):
                facts[record["position"], place] = event
            if event["event"] == "conversion_recorded" and event["lead_id"] == lead:
                sold_at[lead] = max(sold_at.get(lead, 0), millis(event["at"]))
            if event["event"] == "interaction_attached" and event["lead_id"] == lead:
                key = (record["input"]["source"], record["input"]["id"])
                lead_of[key] = lead
                touches[lead].append((millis(event["occurred_at"]), record["position"], key))


def lead_rows():
    for lead in world["leads"]:
        opened, closed, last = (lead[name] and millis(lead[name]) for name in ("opened_at", "closed_at", "last_interaction_at"))
        is_open, sold = lead["status"] == "open", sold_at.get(lead["id"])
        campaign, money = lead["campaign"] or {}, lead["sale_value"] or {}
        yield {
            "lead_id": lead["id"], "lead_type": lead["lead_type"], "status": lead["status"], "close_cause": lead["close_cause"],
            "channel": lead["channel"], "skill": lead["skill"], "campaign": campaign.get("name"),
            "interactions": lead["interactions"], "conversions": lead["conversions"],
            "sale_value": money.get("amount"), "opened_at": opened, "closed_at": closed, "last_interaction_at": last,
            "converted_at": sold, "is_converted": lead["conversions"] > 0,
            "time_to_convert": sold and (sold - opened) / 1000, "time_to_close": closed and (closed - opened) / 1000,
            "age": (NOW - opened) / 1000 if is_open else None, "idle": (NOW - last) / 1000 if is_open else None,
            **attributes(lead["attributes"]),
        }


def interaction_rows(leads):
    for key, event in sent.items():
        data = event["data"]
        product, campaign = data.get("product") or {}, data.get("campaign") or {}
        lead = leads.get(lead_of.get(key))
        yield {
            "at": millis(event["time"]), "channel": data["channel"], "action": data["action"], "skill": data.get("skill"),
            "campaign": campaign.get("name"), "is_orphan": lead is None,
            "product_price": (product.get("price") or {}).get("amount"), "lead_id": lead and lead["lead_id"],
            **{f"lead.{name}": lead and lead[name] for name in ("lead_type", "status", "opened_at", "is_converted")},
            **attributes(data.get("attributes")),
        }


def event_rows():
    for event in facts.values():
        value = event.get("value") or {}
        at = event["at"] if "at" in event else event["occurred_at"]
        yield {"event": event["event"], "at": millis(at), "lead_id": event["lead_id"], "amount": value.get("amount")}


def attribution_rows(leads, said):
    span = lambda text, usual: {"d": 86_400_000, "h": 3_600_000}[text[-1]] * int(text[:-1]) if text else usual
    look_back, half_life = span(said.get("look_back"), math.inf), span(said.get("half_life"), 7 * 86_400_000)
    for lead in leads.values():
        if not lead["conversions"]:
            continue
        credited = []
        for at, _, key in sorted(touches[lead["lead_id"]]):
            data = sent[key]["data"]
            name = (data.get("campaign") or {}).get("name") if said.get("by", "campaign") == "campaign" else data["channel"]
            if name and lead["converted_at"] - look_back <= at <= lead["converted_at"]:
                credited.append((at, name))
        many = len(credited)
        if said["model"] == "first_touch":
            shares = [1] + [0] * (many - 1)
        elif said["model"] == "last_touch":
            shares = [0] * (many - 1) + [1]
        elif said["model"] == "linear":
            shares = [1 / many] * many if many else []
        elif said["model"] == "position":
            shares = [1] if many == 1 else [0.5, 0.5] if many == 2 else [0.4] + [0.2 / max(many - 2, 1)] * (many - 2) + [0.4]
        else:
            weights = [2 ** (-(lead["converted_at"] - at) / half_life) for at, _ in credited]
            shares = [weight / sum(weights) for weight in weights]
        parts = list(zip(credited, shares)) or [((None, None), 1)]
        for (at, name), share in parts:
            if share > 0:
                value = (lead["sale_value"] or 0) * share
                yield {**lead, "touch": name, "touched_at": at, "credit": share, "credited_value": value}


ORIGINS = {
    "opened": "opened_at", "closed": "closed_at", "converted": "converted_at", "event": "at",
}


def passes(row, condition, zone):
    if "any" in condition:
        return any(passes(row, inner, zone) for inner in condition["any"])
    value = row.get(condition["field"])
    ok = True
    for name, wanted in condition.items():
        if name == "field":
            continue
        if isinstance(wanted, (int, float)) and not isinstance(wanted, bool) and isinstance(value, str):
            value = number(value)
        ok = ok and {
            "is": lambda: value == wanted, "is_not": lambda: value != wanted, "in": lambda: value in wanted,
            "not_in": lambda: value not in wanted, "contains": lambda: value is not None and wanted.lower() in value.lower(),
            "at_least": lambda: value is not None and value >= wanted, "above": lambda: value is not None and value > wanted,
            "below": lambda: value is not None and value < wanted,
        }[name]()
    return ok


def number(value):
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


@lru_cache(maxsize=None)
def start(at, unit, zone):
    """Where the unit of an instant begins, as an instant."""
    local = moment(at, zone)
    if unit == "hour":
        return at - (local.minute * 60 + local.second) * 1000 - local.microsecond // 1000
    day = datetime(local.year, local.month, local.day)
    if unit == "week":
        day -= timedelta(days=day.weekday())
    if unit == "month":
        day = day.replace(day=1)
    if unit == "quarter":
        day = day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
    return round(day.replace(tzinfo=zone).timestamp() * 1000)


def percentile(values, share):
    values = sorted(values)
    place = (len(values) - 1) * share
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def bound(text, zone):
    if len(text) == 10:
        return round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000)
    return millis(text)


def worked_out(question, answer):
    zone = ZoneInfo(question.get("zone", "Europe/Berlin"))
    global NOW
    NOW = millis(answer["at"])
    leads = {row["lead_id"]: row for row in lead_rows()}
    source = question["source"]
    rows = {
        "leads": lambda: list(leads.values()), "interactions": lambda: list(interaction_rows(leads)), "events": lambda: list(event_rows()),
        "attribution": lambda: list(attribution_rows(leads, question["attribution"])),
    }[source]()
    usual = {"leads": "opened", "interactions": "interaction", "events": "event", "attribution": "converted"}[source]
    named = question.get("date_origin", usual)
    origin = ORIGINS.get(named, "at" if source == "interactions" else "last_interaction_at")
    if source == "interactions" and named == "opened":
        origin = "lead.opened_at"
    rows = [row for row in rows if all(passes(row, it, zone) for it in question.get("filters", []))]
    now = answer.get("period")
    spans = [(now and now["from"] and millis(now["from"]), now and now["to"] and millis(now["to"]))]
    if question.get("period"):
        asked = question["period"]
        assert spans[0] == tuple(bound(asked[end], zone) if end in asked else None for end in ("from", "to")), (spans, asked)
    if question.get("compare"):
        before = answer["previous_period"]
        spans.append((millis(before["from"]), millis(before["to"])))
    return [figures(question, rows, origin, span, zone) for span in spans]


def figures(question, rows, origin, span, zone):
    low, high = span
    within = lambda at: at is not None and (low is None or at >= low) and (high is None or at < high)
    if low is not None or high is not None:
        rows = [row for row in rows if within(row.get(origin))]
    keys = []
    for dimension in question.get("dimensions", []):
        if isinstance(dimension, str):
            dimension = {"by": dimension} if dimension in ("hour", "day", "week", "month") else {"field": dimension}
        keys.append(dimension)

    def key_of(row):
        key = []
        for dimension in keys:
            value = row.get(dimension.get("field", origin))
            if "bands" in dimension:
                seconds = [int(it[:-1]) * 86_400 if isinstance(it, str) else it for it in dimension["bands"]]
                value = None if number(value) is None else sum(number(value) >= it for it in seconds)
            elif "by" in dimension and value is not None:
                value = start(value, dimension["by"], ZoneInfo(dimension.get("zone", zone.key)))
            key.append(value)
        return tuple(key)

    groups = defaultdict(list)
    for row in rows:
        groups[key_of(row)].append(row)
    if not keys:
        groups.setdefault((), [])
    found, totals = {}, defaultdict(float)
    for key, members in groups.items():
        found[key] = {}
        for measure in question["measures"]:
            name, value = measured(measure, members, found[key], key, keys, origin, span, zone)
            found[key][name] = value
            totals[name] += value if isinstance(value, (int, float)) else 0
    for values in found.values():
        for measure in question["measures"]:
            function = measure if isinstance(measure, str) else measure.get("function") or ""
            if function.startswith("percentage"):
                name = name_of(measure)
                values[name] = values[name] * 100 / totals[name] if totals[name] and values[name] is not None else None
    return found


def name_of(measure):
    if isinstance(measure, str):
        return measure.replace(":", "_")
    return measure["name"]


def measured(measure, rows, values, key, keys, origin, span, zone):
    name = name_of(measure)
    if isinstance(measure, str):
        function, _, field = measure.partition(":")
        measure = {"function": function, "field": field or None}
    if "formula" in measure:
        try:
            return name, eval(measure["formula"], {"round": round}, dict(values))
        except (ZeroDivisionError, TypeError):
            return name, None
    rows = [row for row in rows if all(passes(row, it, zone) for it in measure.get("filters", []))]
    function, field = measure["function"], measure.get("field")
    raw = [row.get(field) for row in rows if row.get(field) is not None] if field else rows
    if function == "count":
        return name, len(raw)
    if function == "count_distinct":
        return name, len(set(raw))
    if function == "percentage" and not field:
        return name, len(rows)
    figures = [number(value) for value in raw if number(value) is not None] if field else []
    if function == "average_per":
        total = (sum(figures) if figures else None) if field else len(rows)
        return name, None if total is None else total / touched(measure["per"], key, keys, origin, span, zone)
    if not figures:
        return name, None
    if function in ("sum", "percentage"):
        return name, sum(figures)
    if function == "average":
        return name, sum(figures) / len(figures)
    if function in ("min", "max"):
        return name, (min if function == "min" else max)(figures)
    share = 0.5 if function == "median" else float(function[1:]) / 100
    return name, percentile(figures, share)


def touched(unit, key, keys, origin, span, zone):
    """How many units a row's part of the period touches, found by walking through it."""
    found, at = set(), span[0]
    while at < span[1]:
        if all("by" not in it or it.get("field", origin) != origin or start(at, it["by"], zone) == value for it, value in zip(keys, key)):
            found.add(start(at, unit, zone))
        at += 900_000
    return len(found)


compared = 0
for question, answer in zip(world["questions"], world["answers"]):
    now, *before = worked_out(question, answer)
    dimensions = [column["name"] for column in answer["columns"] if column["kind"] == "dimension"]
    kinds = {column["name"]: column["type"] for column in answer["columns"]}
    labels = {}
    for dimension in question.get("dimensions", []):
        if isinstance(dimension, dict) and "bands" in dimension:
            said = [str(it) for it in dimension["bands"]]
            ranges = [f"{one} to {other}" for one, other in zip(said, said[1:])]
            labels[dimension.get("name", dimension["field"])] = [f"below {said[0]}", *ranges, f"{said[-1]} and more"]

    def plain(name, value):
        if value is not None and name in labels:
            return labels[name].index(value)
        return millis(value) if value is not None and kinds[name] == "time" else value

    items = {tuple(plain(name, item[name]) for name in dimensions): item for item in answer["items"]}
    assert len(items) == len(answer["items"]) == answer["groups"], (question, answer["groups"])
    if not before:
        assert items.keys() == now.keys(), (question, sorted(map(str, items.keys() ^ now.keys()))[:5])
    for key, values in now.items():
        for name, value in values.items():
            shown = plain(name, items[key][name])
            # Between two values a percentile is right to a millionth of their distance.
            tolerance = 1e-4 if name[0] == "p" and name[1].isdigit() or name.startswith("median") else 1e-9
            close = shown == value or None not in (shown, value) and math.isclose(shown, value, rel_tol=tolerance, abs_tol=1e-6)
            assert close, (question, key, name, "said", shown, "counted", value)
            compared += 1
    # The time before, where there is one, without units of time: their places are compared, not their dates.
    for key, values in before[0].items() if before else []:
        for name, value in values.items():
            if any(kinds[dimension] == "time" for dimension in dimensions):
                continue
            item = items[key]
            shown = item[f"{name}_previous"]
            assert shown == value or math.isclose(shown, value, rel_tol=1e-9), (question, key, name, shown, value)
            if value and item[name] is not None:
                variation = (item[name] - value) * 100 / abs(value)
                assert math.isclose(item[f"{name}_variation"], variation, rel_tol=1e-9, abs_tol=1e-9), (question, key, name)
            compared += 1
print(compared)
