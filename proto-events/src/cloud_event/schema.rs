//! The contract as JSON Schema 2020-12, made from the structures that are really read.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::EVENT_TYPE;
use super::data::InteractionData;
use super::text::{Attributes, Str};

impl JsonSchema for Str<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string" })
    }
}

impl JsonSchema for Attributes<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Attributes".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["object", "null"],
            "maxProperties": 64,
            "additionalProperties": { "type": ["string", "number", "boolean", "null"] }
        })
    }
}

/// The schema of an interaction event with its envelope.
#[must_use]
pub fn interaction_schema() -> Schema {
    let mut generator = SchemaGenerator::default();
    let data = generator.subschema_for::<InteractionData<'_>>();
    let definitions = generator.take_definitions(true);
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Leadfold interaction",
        "description": "A CloudEvents 1.0 event in structured JSON. Extension attributes are allowed.",
        "type": "object",
        "properties": {
            "specversion": { "const": "1.0" },
            "id": { "type": "string", "minLength": 1, "maxLength": 256 },
            "source": { "type": "string", "format": "uri-reference", "minLength": 1, "maxLength": 256 },
            "type": { "const": EVENT_TYPE },
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "type": ["string", "null"] },
            "dataschema": { "type": ["string", "null"], "format": "uri" },
            "subject": { "type": ["string", "null"] },
            "data": data,
            "data_base64": { "type": "string", "contentEncoding": "base64" }
        },
        "required": ["specversion", "id", "source", "type", "time"],
        "oneOf": [{ "required": ["data"] }, { "required": ["data_base64"] }],
        "additionalProperties": { "type": ["string", "integer", "boolean", "null"] },
        "$defs": definitions
    })
}
