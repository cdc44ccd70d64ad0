//! Says what is wrong with an event that could not be read.
//!
//! The fast reader only knows that something is wrong, and its words quote values. This module reads such an event once
//! more, slowly, and finds the first fault by the shape of the contract. It never quotes a value.

use serde_json::{Map, Value};

use super::envelope::CloudEvent;
use super::text::Str;
use super::{EVENT_TYPE, Fault, code, repeated};

/// What a field holds.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    /// A whole number within these bounds.
    Whole(i64, i64),
    /// An object of scalars.
    Scalars,
    Object(&'static [Field]),
}

/// A field of an object and whether it must be there.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    shape: Shape,
    required: bool,
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false }
}

const fn required(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true }
}

const fn text(name: &'static str) -> Field {
    optional(name, Shape::Text)
}

const AMOUNT: Shape = Shape::Object(&[required("amount", Shape::Whole(i64::MIN, i64::MAX)), text("currency")]);

/// The keys of `data`. A test holds them against the schema, which is made from the structures that are really read.
const DATA: &[Field] = &[
    text("tenant"),
    text("visitor_id"),
    text("customer_id"),
    text("email"),
    text("phone"),
    required("channel", Shape::Text),
    text("skill"),
    required("action", Shape::Text),
    optional("contact", Shape::Object(&[text("name"), text("locale"), text("country")])),
    optional("campaign", Shape::Object(&[text("name"), text("source"), text("medium"), text("term"), text("content")])),
    optional("product", Shape::Object(&[text("id"), text("name"), text("category"), optional("price", AMOUNT)])),
    optional("device", Shape::Object(&[text("browser"), text("type"), text("os"), text("user_agent")])),
    optional(
        "conversion",
        Shape::Object(&[
            optional("value", AMOUNT),
            optional("rgus", Shape::Whole(0, u32::MAX as i64)),
            text("order_id"),
        ]),
    ),
    optional("page", Shape::Object(&[text("url"), text("referrer")])),
    optional("attributes", Shape::Scalars),
    text("sent_at"),
];

/// The attributes that CloudEvents defines, all text.
const ATTRIBUTES: &[&str] =
    &["specversion", "id", "source", "type", "time", "datacontenttype", "dataschema", "subject", "data_base64"];

/// A required field that is absent or empty.
pub(super) fn missing(path: &str) -> Fault {
    Fault::new(path, code::MISSING_FIELD, "The field is missing or empty.")
}

pub(super) fn both_data() -> Fault {
    Fault::new("data_base64", code::BAD_DATA_BASE64, "An event has either data or data_base64, not both.")
}

fn wrong_type(path: &str, right: &str) -> Fault {
    Fault::new(path, code::WRONG_TYPE, format!("The field must be {right}."))
}

/// What is wrong with an event that could not be read.
pub(super) fn event(bytes: &[u8], error: &serde_json::Error) -> Fault {
    let found = json_object(bytes).and_then(|event| {
        walk_envelope(&event)?;
        checked_type(event.get("type").and_then(Value::as_str))?;
        match event.get("data") {
            Some(data) if !data.is_null() => walk(data, "data", Shape::Object(DATA)),
            _ => Ok(()),
        }
    });
    found.err().unwrap_or_else(|| unnamed(bytes, "", error))
}

/// What is wrong with an event whose data don't matter.
pub(super) fn envelope(bytes: &[u8], error: &serde_json::Error) -> Fault {
    let found = json_object(bytes).and_then(|event| walk_envelope(&event));
    found.err().unwrap_or_else(|| unnamed(bytes, "", error))
}

/// What is wrong with the data, whose bytes stand in `field`.
pub(super) fn data(bytes: &[u8], field: &str, error: &serde_json::Error) -> Fault {
    let found = json(bytes, field).and_then(|data| walk(&data, "data", Shape::Object(DATA)));
    found.err().unwrap_or_else(|| unnamed(bytes, "data", error))
}

/// Checks what the specification demands of every event: version, id, source and type are there, the data are JSON.
pub(super) fn checked_envelope<D>(event: &CloudEvent<'_, D>) -> Result<(), Fault> {
    let text = |field: &Option<Str<'_>>, name| match field {
        Some(text) if text.trimmed().is_some() => Ok(()),
        _ => Err(missing(name)),
    };
    match &event.specversion {
        None => return Err(missing("specversion")),
        Some(version) if version.as_str() != "1.0" => {
            return Err(Fault::new("specversion", code::WRONG_SPECVERSION, "The version must be \"1.0\"."));
        }
        Some(_) => {}
    }
    text(&event.id, "id")?;
    text(&event.source, "source")?;
    text(&event.event_type, "type")?;
    match &event.datacontenttype {
        Some(content_type) if !is_json(content_type.as_str()) => {
            let message = "The data must be JSON: leave datacontenttype out or say \"application/json\".";
            Err(Fault::new("datacontenttype", code::WRONG_CONTENT_TYPE, message))
        }
        _ => Ok(()),
    }
}

/// `application/json` and everything that ends in `+json`, with or without parameters.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

pub(crate) fn not_utf8(path: &str, error: std::str::Utf8Error) -> Fault {
    let message = format!("The text must be UTF-8; it is not from byte {} on.", error.valid_up_to() + 1);
    Fault::new(path, code::INVALID_UTF8, message)
}

fn json(bytes: &[u8], path: &str) -> Result<Value, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(path, error))?;
    serde_json::from_str(text).map_err(|error| invalid_json(path, &error))
}

pub(crate) fn invalid_json(path: &str, error: &serde_json::Error) -> Fault {
    let message = if error.is_eof() {
        "The text ends in the middle of its JSON.".to_owned()
    } else {
        format!("The text must be one JSON object; it is not from column {} on.", error.column())
    };
    Fault::new(path, code::INVALID_JSON, message)
}

fn json_object(bytes: &[u8]) -> Result<Map<String, Value>, Fault> {
    match json(bytes, "")? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Fault::new("", code::WRONG_TYPE, "An event must be a JSON object."))
        }
    }
}

fn walk_envelope(event: &Map<String, Value>) -> Result<(), Fault> {
    for name in ATTRIBUTES {
        match event.get(*name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(_) => return Err(wrong_type(name, "text")),
        }
    }
    let field = |name: &str| event.get(name).and_then(Value::as_str).map(Str::from);
    checked_envelope::<()>(&CloudEvent {
        specversion: field("specversion"),
        id: field("id"),
        source: field("source"),
        event_type: field("type"),
        datacontenttype: field("datacontenttype"),
        ..CloudEvent::default()
    })?;
    for (name, value) in event {
        let known = name == "data" || ATTRIBUTES.contains(&name.as_str());
        let plain = value.is_null() || value.is_string() || value.is_boolean() || value.is_i64();
        if !known && !plain {
            return Err(wrong_type(shown(name), "text, a whole number, true or false, as all extension attributes"));
        }
    }
    Ok(())
}

/// Data of another type of event are not to be judged.
pub(super) fn checked_type(event_type: Option<&str>) -> Result<(), Fault> {
    match event_type {
        Some(EVENT_TYPE) => Ok(()),
        Some(_) | None => {
            Err(Fault::new("type", code::WRONG_EVENT_TYPE, format!("The type must be \"{EVENT_TYPE}\".")))
        }
    }
}

fn walk(value: &Value, path: &str, shape: Shape) -> Result<(), Fault> {
    match (shape, value) {
        (Shape::Text, Value::String(_)) => Ok(()),
        (Shape::Text, _) => Err(wrong_type(path, "text")),
        (Shape::Whole(least, most), value) => match value.as_i64() {
            Some(number) if (least..=most).contains(&number) => Ok(()),
            _ => Err(wrong_type(path, &format!("a whole number from {least} to {most}"))),
        },
        (Shape::Scalars, Value::Object(object)) => {
            match object.iter().find(|(_, value)| value.is_object() || value.is_array()) {
                Some((name, _)) => Err(wrong_type(&format!("{path}.{}", shown(name)), "text, a number, true or false")),
                None => Ok(()),
            }
        }
        (Shape::Object(fields), Value::Object(object)) => walk_object(object, path, fields),
        (Shape::Scalars | Shape::Object(_), _) => Err(wrong_type(path, "an object")),
    }
}

fn walk_object(object: &Map<String, Value>, path: &str, fields: &[Field]) -> Result<(), Fault> {
    for name in object.keys() {
        if !fields.iter().any(|field| field.name == name) {
            let path = format!("{path}.{}", shown(name));
            return Err(Fault::new(
                path,
                code::UNKNOWN_FIELD,
                "The contract has no such field; free ones go into attributes.",
            ));
        }
    }
    for field in fields {
        let path = format!("{path}.{}", field.name);
        match object.get(field.name) {
            Some(value) if !value.is_null() => walk(value, &path, field.shape)?,
            _ if field.required => return Err(missing(&path)),
            _ => {}
        }
    }
    Ok(())
}

/// A key that somebody else chose, if it looks like one: anything else might be a value in the wrong place.
#[must_use]
pub fn shown(key: &str) -> &str {
    let plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    if plain && (1..=64).contains(&key.len()) { key } else { "?" }
}

/// A fault that the shapes don't show: a key that stands twice, or a nesting that is too deep.
fn unnamed(bytes: &[u8], path: &str, error: &serde_json::Error) -> Fault {
    if error.to_string().starts_with("duplicate field `") {
        let path = repeated::path(bytes, path).unwrap_or_default();
        return Fault::new(path, code::REPEATED_FIELD, "The field is there twice.");
    }
    match error.classify() {
        serde_json::error::Category::Data => Fault::new(path, code::WRONG_TYPE, "A value is not of the right type."),
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof | serde_json::error::Category::Io => {
            invalid_json(path, error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_event::interaction_schema;

    /// The properties of a schema, behind references and behind `null`.
    fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return resolved(root, root.pointer(reference.trim_start_matches('#')).unwrap());
        }
        match schema["anyOf"].as_array() {
            Some(choices) => resolved(root, choices.iter().find(|choice| choice["type"] != "null").unwrap()),
            None => schema,
        }
    }

    fn check(root: &Value, schema: &Value, fields: &[Field], path: &str) {
        let schema = resolved(root, schema);
        let mut names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        names.sort_unstable();
        let mut properties: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        properties.sort_unstable();
        assert_eq!(names, properties, "{path}");
        assert_eq!(schema["additionalProperties"], false, "{path}");
        for field in fields {
            let required =
                schema["required"].as_array().is_some_and(|names| names.iter().any(|name| name == field.name));
            assert_eq!(required, field.required, "{path}.{}", field.name);
            let property = resolved(root, &schema["properties"][field.name]);
            let types = property["type"].to_string();
            match field.shape {
                Shape::Text => assert!(types.contains("string"), "{path}.{}: {types}", field.name),
                Shape::Whole(..) => assert!(types.contains("integer"), "{path}.{}: {types}", field.name),
                Shape::Scalars => assert!(types.contains("object"), "{path}.{}: {types}", field.name),
                Shape::Object(fields) => check(root, property, fields, field.name),
            }
        }
    }

    #[test]
    fn the_shapes_are_those_of_the_schema() {
        let schema = interaction_schema().to_value();
        check(&schema, &schema["properties"]["data"], DATA, "data");
    }
}
