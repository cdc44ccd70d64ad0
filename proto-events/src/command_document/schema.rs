//! The document of a command as JSON Schema 2020-12.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{ATTRIBUTES_MAX, CommandDocument, EventJson, NAME_CHARACTERS_MAX};

/// What a visitor id looks like.
pub(super) struct VisitorIdText;

/// What a lead id looks like.
pub(super) struct LeadIdText;

/// What an interaction id looks like.
pub(super) struct InteractionIdText;

/// Attributes to set.
pub(super) struct AttributesObject;

impl JsonSchema for VisitorIdText {
    fn schema_name() -> Cow<'static, str> {
        "VisitorId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[Vv][0-9]+$", "examples": ["V42"] })
    }
}

impl JsonSchema for LeadIdText {
    fn schema_name() -> Cow<'static, str> {
        "LeadId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[Vv][0-9]+-[0-9]+$", "examples": ["V42-1"] })
    }
}

impl JsonSchema for InteractionIdText {
    fn schema_name() -> Cow<'static, str> {
        "InteractionId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[Ii][0-9]+$", "examples": ["I1042"] })
    }
}

impl JsonSchema for AttributesObject {
    fn schema_name() -> Cow<'static, str> {
        "SetAttributes".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": ATTRIBUTES_MAX,
            "propertyNames": { "minLength": 1, "maxLength": NAME_CHARACTERS_MAX },
            "additionalProperties": { "type": ["string", "number", "boolean"], "maxLength": NAME_CHARACTERS_MAX }
        })
    }
}

impl JsonSchema for EventJson {
    fn schema_name() -> Cow<'static, str> {
        "Event".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "An interaction event: interaction.v1.json." })
    }
}

/// The schema of a command.
#[must_use]
pub fn command_schema() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<CommandDocument>();
    schema.insert("unevaluatedProperties".to_owned(), false.into());
    schema
}
