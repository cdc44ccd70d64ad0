//! The subjects on NATS as an AsyncAPI 3 document, which refers to the published schemas of what is sent there.
//!
//! Knows no server and sends nothing; the program that does follows this document.

use serde_json::{Value, json};

use crate::command_document::COMMANDS;
use crate::lead_event::lead_event_schema;

/// The document. References are relative to the folder that `schemas/` stands in.
#[must_use]
pub fn asyncapi() -> Value {
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Leadfold on NATS",
            "version": "1",
            "description": "Interactions and commands come in by JetStream stream LEADFOLD_IN, lead events go out by stream LEADFOLD_OUT. \
                Whose a message is, its subject says and nothing else.",
            "license": { "name": "Apache-2.0" }
        },
        "defaultContentType": "application/cloudevents+json",
        "servers": { "nats": { "host": "localhost:4222", "protocol": "nats", "description": "NATS 2.12 or later, with JetStream." } },
        "channels": channels(),
        "operations": operations(),
        "components": { "messages": messages(), "parameters": {
            "tenant": { "description": "The tenant's name: 1 to 64 of a-z, 0-9, - and _.", "examples": ["acme"] }
        } }
    })
}

fn channels() -> Value {
    let tenant = json!({ "$ref": "#/components/parameters/tenant" });
    json!({
        "interactions": {
            "address": "leadfold.in.{tenant}.{channel}",
            "title": "Interactions",
            "description": "Stream LEADFOLD_IN. At least once: a second event with the same source and id changes nothing.",
            "parameters": {
                "tenant": tenant,
                "channel": { "description": "Where it comes from; may have further dots.", "examples": ["web", "shop.de"] }
            },
            "messages": {
                "structured": { "$ref": "#/components/messages/interaction" },
                "binary": { "$ref": "#/components/messages/interactionBinary" }
            }
        },
        "commands": {
            "address": "leadfold.cmd.{tenant}",
            "title": "Commands",
            "description": "Stream LEADFOLD_IN. At least once: a second command with the same id is not decided again, nor a policy adopted or a quarantined input released again.",
            "parameters": { "tenant": tenant },
            "messages": { "command": { "$ref": "#/components/messages/command" } }
        },
        "leadEvents": {
            "address": "leadfold.out.{tenant}.{event}",
            "title": "Lead events",
            "description": "Stream LEADFOLD_OUT. At least once and in the order of the log; one that is sent again has the same id.",
            "parameters": {
                "tenant": tenant,
                "event": { "description": "What happened.", "enum": lead_events() }
            },
            "messages": { "leadEvent": { "$ref": "#/components/messages/leadEvent" } }
        }
    })
}

fn operations() -> Value {
    json!({
        "receiveInteractions": {
            "action": "receive",
            "channel": { "$ref": "#/channels/interactions" },
            "summary": "Channels publish what visitors do; what can't be taken is quarantined.",
            "messages": [{ "$ref": "#/channels/interactions/messages/structured" }, { "$ref": "#/channels/interactions/messages/binary" }]
        },
        "receiveCommands": {
            "action": "receive",
            "channel": { "$ref": "#/channels/commands" },
            "summary": "Operators' programs publish what is to be done.",
            "messages": [{ "$ref": "#/channels/commands/messages/command" }]
        },
        "sendLeadEvents": {
            "action": "send",
            "channel": { "$ref": "#/channels/leadEvents" },
            "summary": "What became of visitors and leads.",
            "messages": [{ "$ref": "#/channels/leadEvents/messages/leadEvent" }]
        }
    })
}

fn messages() -> Value {
    json!({
        "interaction": {
            "name": "interaction",
            "title": "Interaction, structured",
            "summary": "A CloudEvents 1.0 event in JSON.",
            "contentType": "application/cloudevents+json",
            "payload": { "$ref": "./schemas/interaction.v1.json" }
        },
        "interactionBinary": {
            "name": "interactionBinary",
            "title": "Interaction, binary",
            "summary": "The data of the event; its attributes are headers, percent-encoded as the HTTP protocol binding of CloudEvents says.",
            "contentType": "application/json",
            "headers": binary_headers(),
            "payload": { "$ref": "./schemas/interaction.v1.json#/$defs/InteractionData" }
        },
        "command": {
            "name": "command",
            "title": "Command",
            "summary": format!("One of {}.", COMMANDS.join(", ")),
            "contentType": "application/json",
            "payload": { "$ref": "./schemas/command.v1.json" }
        },
        "leadEvent": {
            "name": "leadEvent",
            "title": "Lead event",
            "summary": "A CloudEvents 1.0 event in JSON. It holds no personal data.",
            "contentType": "application/cloudevents+json",
            "headers": {
                "type": "object",
                "properties": {
                    "Nats-Msg-Id": { "type": "string", "description": "The same each time that the event is sent." },
                    "traceparent": { "type": "string", "description": "W3C Trace Context: the span of the publication." }
                }
            },
            "payload": lead_event_envelope()
        }
    })
}

fn binary_headers() -> Value {
    json!({
        "type": "object",
        "properties": {
            "ce-specversion": { "const": "1.0" },
            "ce-id": { "type": "string", "minLength": 1 },
            "ce-source": { "type": "string", "minLength": 1 },
            "ce-type": { "const": crate::cloud_event::EVENT_TYPE },
            "ce-time": { "type": "string", "format": "date-time" },
            "content-type": { "type": "string", "description": "JSON: application/json, or a type that ends in +json." }
        },
        "required": ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-time"]
    })
}

fn lead_event_envelope() -> Value {
    let types: Vec<String> = lead_events().iter().map(|word| format!("leadfold.{word}.v1")).collect();
    json!({
        "type": "object",
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "description": "The record's position and the event's place in it.", "examples": ["1042-0"] },
            "source": { "type": "string", "examples": ["leadfold/acme"] },
            "type": { "enum": types },
            "subject": { "type": "string", "description": "The lead, or else the visitor, that it is about.", "examples": ["V42-1"] },
            "time": { "type": "string", "format": "date-time", "description": "When it happened." },
            "recordedtime": { "type": "string", "format": "date-time", "description": "When it was recorded." },
            "leadfoldposition": { "type": "string", "description": "The record's position in the log." },
            "datacontenttype": { "const": "application/json" },
            "data": { "$ref": "./schemas/lead-event.v1.json" }
        },
        "required": ["specversion", "id", "source", "type", "time", "recordedtime", "leadfoldposition", "datacontenttype", "data"]
    })
}

/// The words of all lead events, as their schema has them.
fn lead_events() -> Vec<String> {
    let schema = lead_event_schema().to_value();
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    variants.filter_map(|variant| variant.pointer("/properties/event/const")?.as_str().map(str::to_owned)).collect()
}
