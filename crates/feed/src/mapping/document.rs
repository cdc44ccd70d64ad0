//! Reads the TOML of a mapping and finds all its faults at once.

use std::collections::HashMap;

use chrono_tz::Tz;
use proto_events::cloud_event::Fault;
use toml::{Table, Value};

use super::time_format::TimeFormat;
use super::{Amounts, FIELDS, Field, Mapping};

const SECTIONS: [&str; 8] = ["columns", "actions", "channels", "skills", "constants", "time", "delimiter", "amounts"];
const IDENTIFIERS: [Field; 4] = [Field::CustomerId, Field::Email, Field::Phone, Field::VisitorId];

pub(super) fn read(text: &str) -> Result<Mapping, Vec<Fault>> {
    let document: Table = text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        vec![Fault::new("", "syntax", format!("line {line}: {}", error.message()))]
    })?;
    let mut faults = Vec::new();
    for key in document.keys().filter(|key| !SECTIONS.contains(&key.as_str())) {
        let message = format!("is unknown; the sections are {}", SECTIONS.join(", "));
        faults.push(Fault::new(key, "unknown_key", message));
    }
    let mapping = Mapping {
        columns: fields(&document, "columns", &mut faults),
        constants: fields(&document, "constants", &mut faults),
        actions: words(&document, "actions", &mut faults),
        channels: words(&document, "channels", &mut faults),
        skills: document.contains_key("skills").then(|| words(&document, "skills", &mut faults)),
        time: time_format(&document, &mut faults),
        delimiter: delimiter(&document, &mut faults),
        amounts: amounts(&document, &mut faults),
    };
    check_needed(&mapping, &mut faults);
    if faults.is_empty() { Ok(mapping) } else { Err(faults) }
}

/// A table of the document; an empty one where it is missing.
fn table<'d>(document: &'d Table, key: &str, faults: &mut Vec<Fault>) -> Option<&'d Table> {
    let table = document.get(key)?.as_table();
    if table.is_none() {
        faults.push(Fault::new(key, "wrong_type", "must be a table"));
    }
    table
}

fn text<'d>(value: &'d Value, path: &str, faults: &mut Vec<Fault>) -> Option<&'d str> {
    let text = value.as_str().filter(|text| !text.trim().is_empty());
    if text.is_none() {
        faults.push(Fault::new(path, "wrong_type", "must be text and not empty"));
    }
    text
}

/// Fields with a column or a value, attributes in a table of their own.
fn fields(document: &Table, section: &str, faults: &mut Vec<Fault>) -> Vec<(Field, String)> {
    let mut found = Vec::new();
    for (key, value) in table(document, section, faults).into_iter().flatten() {
        let path = format!("{section}.{key}");
        match (value, FIELDS.iter().find(|(name, _)| name == key), key.strip_prefix("attributes.")) {
            (Value::Table(attributes), None, _) if key == "attributes" => {
                for (name, value) in attributes {
                    let text = text(value, &format!("{path}.{name}"), faults);
                    found.extend(text.map(|text| (Field::Attribute(name.clone()), text.to_owned())));
                }
            }
            (value, Some((_, field)), _) => {
                found.extend(text(value, &path, faults).map(|text| (field.clone(), text.to_owned())));
            }
            (value, None, Some(name)) => {
                let text = text(value, &path, faults);
                found.extend(text.map(|text| (Field::Attribute(name.to_owned()), text.to_owned())));
            }
            _ => {
                let names: Vec<&str> = FIELDS.iter().map(|(name, _)| *name).collect();
                let message = format!("is no field; the fields are {} and attributes.<name>", names.join(", "));
                faults.push(Fault::new(path, "unknown_key", message));
            }
        }
    }
    found
}

fn words(document: &Table, section: &str, faults: &mut Vec<Fault>) -> HashMap<String, String> {
    let mut found = HashMap::new();
    for (word, value) in table(document, section, faults).into_iter().flatten() {
        if let Some(text) = text(value, &format!("{section}.{word}"), faults) {
            found.insert(word.clone(), text.to_owned());
        }
    }
    found
}

fn time_format(document: &Table, faults: &mut Vec<Fault>) -> TimeFormat {
    let (mut format, mut zone) = ("rfc3339", Tz::UTC);
    for (key, value) in table(document, "time", faults).into_iter().flatten() {
        let path = format!("time.{key}");
        match key.as_str() {
            "format" => format = text(value, &path, faults).unwrap_or(format),
            "zone" => match text(value, &path, faults).map(str::parse::<Tz>) {
                Some(Ok(named)) => zone = named,
                Some(Err(_)) => {
                    faults.push(Fault::new(path, "bad_time_zone", "is no IANA time zone, such as \"Europe/Berlin\""));
                }
                None => {}
            },
            _ => faults.push(Fault::new(path, "unknown_key", "is unknown; there are format and zone")),
        }
    }
    TimeFormat::new(format, zone).unwrap_or_else(|| {
        let message = "must be \"rfc3339\", \"unix\", \"unix_ms\" or a pattern such as \"%Y-%m-%d %H:%M:%S\"";
        faults.push(Fault::new("time.format", "bad_format", message));
        TimeFormat::rfc3339()
    })
}

fn delimiter(document: &Table, faults: &mut Vec<Fault>) -> u8 {
    match document.get("delimiter").map(Value::as_str) {
        None => b',',
        Some(Some(",")) => b',',
        Some(Some(";")) => b';',
        Some(Some("\t")) => b'\t',
        Some(Some("|")) => b'|',
        Some(_) => {
            faults.push(Fault::new("delimiter", "bad_word", "must be one of \",\", \";\", \"\\t\", \"|\""));
            b','
        }
    }
}

fn amounts(document: &Table, faults: &mut Vec<Fault>) -> Amounts {
    match document.get("amounts").map(Value::as_str) {
        None | Some(Some("minor")) => Amounts::Minor,
        Some(Some("major")) => Amounts::Major,
        Some(_) => {
            faults.push(Fault::new("amounts", "bad_word", "must be one of \"minor\", \"major\""));
            Amounts::Minor
        }
    }
}

/// What no event can do without must come from a column or a constant.
fn check_needed(mapping: &Mapping, faults: &mut Vec<Fault>) {
    let all = || mapping.columns.iter().chain(&mapping.constants).map(|(field, _)| field);
    for field in [Field::Time, Field::Channel, Field::Action] {
        if !all().any(|known| *known == field) {
            faults.push(Fault::new(format!("columns.{field}"), "missing", "is needed"));
        }
    }
    if !all().any(|field| IDENTIFIERS.contains(field)) {
        let message = "one of columns.visitor_id, customer_id, email and phone is needed";
        faults.push(Fault::new("columns", "missing", message));
    }
    if mapping.constants.iter().any(|(field, _)| *field == Field::Id) {
        faults.push(Fault::new("constants.id", "bad_constant", "can't be the same for every row"));
    }
    if mapping.amounts == Amounts::Major && !all().any(|field| *field == Field::Currency) {
        let message = "needs a currency: columns.currency or constants.currency";
        faults.push(Fault::new("amounts", "missing", message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[columns]\nvisitor_id = \"user\"\ntime = \"at\"\naction = \"what\"\nattributes.plan = \"plan\"\n\
        \"attributes.seat no\" = \"seat\"\n[constants]\nchannel = \"web\"\n[time]\nformat = \"unix\"\n";

    #[test]
    fn a_mapping_has_its_fields() {
        let mapping = Mapping::parse(GOOD).unwrap();
        let columns: Vec<String> = mapping.columns().map(|(field, column)| format!("{field}={column}")).collect();
        assert_eq!(
            columns,
            ["action=what", "attributes.plan=plan", "attributes.seat no=seat", "time=at", "visitor_id=user"]
        );
        assert!(!mapping.has_id());
    }

    #[test]
    fn each_fault_has_its_path_and_code() {
        for (from, to, path, code) in [
            ("visitor_id", "visitor", "columns.visitor", "unknown_key"),
            ("time = \"at\"", "time = 5", "columns.time", "wrong_type"),
            ("action = \"what\"", "", "columns.action", "missing"),
            ("visitor_id = \"user\"", "", "columns", "missing"),
            ("[constants]", "[const]", "const", "unknown_key"),
            ("channel = \"web\"", "channel = \"web\"\nid = \"1\"", "constants.id", "bad_constant"),
            ("format = \"unix\"", "format = \"epoch\"", "time.format", "bad_format"),
            ("format = \"unix\"", "zone = \"Mars\"", "time.zone", "bad_time_zone"),
            ("format = \"unix\"", "formt = \"unix\"", "time.formt", "unknown_key"),
            ("[columns]", "delimiter = \"x\"\n[columns]", "delimiter", "bad_word"),
            ("[columns]", "amounts = \"major\"\n[columns]", "amounts", "missing"),
            ("[columns]", "actions = 5\n[columns]", "actions", "wrong_type"),
            ("[columns]", "[columns", "", "syntax"),
        ] {
            let faults = Mapping::parse(&GOOD.replacen(from, to, 1)).unwrap_err().faults;
            let found: Vec<(&str, &str)> = faults.iter().map(|fault| (fault.path.as_str(), fault.code)).collect();
            assert!(found.contains(&(path, code)), "{from:?} → {to:?}: {found:?}");
        }
    }
}
