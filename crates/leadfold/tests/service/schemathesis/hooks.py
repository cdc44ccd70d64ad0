"""What schemathesis can't know of the API: its media types, and what only a running service can tell."""

import itertools
import json
import os

import schemathesis

# What there is, by what stands before an id in an address or in a field: {"leads": ["V2-1"], "lead_type": ["tablets"]}.
THERE_IS = {name: itertools.cycle(values) for name, values in json.loads(os.environ["LEADFOLD_THERE_IS"]).items()}


@schemathesis.serializer("application/toml")
def toml(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value if isinstance(value, bytes) else str(value).encode()


@schemathesis.hook
def before_call(context, case, kwargs):
    """Gives requests that are meant to succeed a chance to: those that are meant to fail stay as they are."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    place = case.path.split("/")[2] if case.path.startswith("/v1/") else ""
    if case.path_parameters and place in THERE_IS:
        case.path_parameters["id"] = next(THERE_IS[place])
    # Entity tags have quotes, which the coverage phase takes for JSON's.
    tag = (case.headers or {}).get("If-Match")
    if tag is not None and tag.isdigit():
        case.headers["If-Match"] = f'"{tag}"'
    query = case.query if isinstance(case.query, dict) else {}
    # Cursors are opaque and belong to one query, so none can be made up; tests of paging follow real ones.
    query.pop("cursor", None)
    # Nor can what a log has signed.
    query.pop("since", None)
    # Nothing is known of the future, and only interactions have leads that did not take them.
    for name in query.keys() & {"as_of", "known_at"}:
        query[name] = "2026-01-01T00:00:00Z"
    query.pop("why_not", None)
    # A position that the log has not reached is refused, and rightly.
    if "min_position" in query:
        query["min_position"] = 1
    if isinstance(case.body, dict):
        # Whole numbers to JSON Schema, but not to commands: 7.0.
        for name, value in case.body.items():
            if isinstance(value, float) and value.is_integer():
                case.body[name] = int(value)
        for name in case.body.keys() & THERE_IS.keys():
            case.body[name] = next(THERE_IS[name])
        # ISO 4217 has some 180 codes, not 26 * 26 * 26.
        if isinstance(case.body.get("value"), dict):
            case.body["value"]["currency"] = "EUR"
            amount = case.body["value"].get("amount")
            if isinstance(amount, float) and amount.is_integer():
                case.body["value"]["amount"] = int(amount)
