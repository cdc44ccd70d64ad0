//! Which rows count: conditions on fields, read and turned into SQL.

use serde_json::Value;

use crate::report::document::Scope;
use crate::report::document::object::{Object, instant_of, seconds_of};
use crate::report::fault::Faults;
use crate::report::field::{Field, Kind, instant, text};

/// A condition as SQL has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) sql: String,
    /// Whether the row's lead must be looked up for it.
    pub(crate) of_lead: bool,
}

const CONDITIONS: [&str; 10] =
    ["is", "is_not", "in", "not_in", "above", "at_least", "below", "at_most", "contains", "starts_with"];
const KEYS: [&str; 13] = [
    "field",
    "any",
    "all",
    "is",
    "is_not",
    "in",
    "not_in",
    "above",
    "at_least",
    "below",
    "at_most",
    "contains",
    "starts_with",
];
/// In one list.
const FILTERS_MAX: usize = 50;
const VALUES_MAX: usize = 1_000;
/// Lists within lists.
const DEPTH_MAX: usize = 4;

/// All filters of a list.
pub(crate) fn read_all(object: &Object<'_>, key: &str, scope: &Scope, faults: &mut Faults) -> Vec<Filter> {
    read_list(object, key, scope, 0, faults)
}

fn read_list(object: &Object<'_>, key: &str, scope: &Scope, depth: usize, faults: &mut Faults) -> Vec<Filter> {
    let list = object.list(key, FILTERS_MAX, faults);
    let mut filters = Vec::new();
    for (place, value) in list.iter().enumerate() {
        let path = format!("{}[{place}]", object.at(key));
        let Value::Object(fields) = value else {
            faults.add(
                path,
                "invalid_type",
                "A filter is an object, such as {\"field\": \"status\", \"is\": \"open\"}.",
            );
            continue;
        };
        filters.extend(read(&Object::new(fields, path, &KEYS, faults), scope, depth, faults));
    }
    filters
}

fn read(object: &Object<'_>, scope: &Scope, depth: usize, faults: &mut Faults) -> Option<Filter> {
    for (key, between, none) in [("any", " or ", "false"), ("all", " and ", "true")] {
        if !object.has(key) {
            continue;
        }
        if object.has("field") || depth >= DEPTH_MAX {
            let message = "\"any\" and \"all\" stand alone, four deep at most.";
            faults.add(object.at(key), "invalid_filter", message);
            return None;
        }
        let inner = read_list(object, key, scope, depth + 1, faults);
        let of_lead = inner.iter().any(|filter| filter.of_lead);
        let sql: Vec<String> = inner.into_iter().map(|filter| filter.sql).collect();
        let sql = if sql.is_empty() { none.to_owned() } else { format!("({})", sql.join(between)) };
        return Some(Filter { sql, of_lead });
    }
    let name = object.needed("field", faults)?;
    let field = scope.field(name, object.at("field"), faults);
    let mut sql = Vec::new();
    for key in CONDITIONS.into_iter().filter(|key| object.has(key)) {
        sql.extend(field.as_ref().and_then(|field| condition(object, key, field, scope, faults)));
    }
    if !CONDITIONS.iter().any(|key| object.has(key)) {
        let message = format!("A filter needs a condition: {}.", CONDITIONS.join(", "));
        faults.add(object.at("is"), "missing", message);
    }
    Some(Filter { sql: sql.join(" and "), of_lead: field?.of_lead }).filter(|filter| !filter.sql.is_empty())
}

fn condition(object: &Object<'_>, key: &str, field: &Field, scope: &Scope, faults: &mut Faults) -> Option<String> {
    let at = object.at(key);
    match key {
        "in" | "not_in" => {
            let list = object.list(key, VALUES_MAX, faults);
            let values: Option<Vec<(String, String)>> =
                list.iter().map(|value| literal(value, field, scope, &at, faults)).collect();
            let values = values?;
            let Some((left, _)) = values.first() else {
                return Some(if key == "in" { "false" } else { "true" }.to_owned());
            };
            if values.iter().any(|(other, _)| other != left) {
                faults.add(at, "invalid_value", "A list has either numbers or texts.");
                return None;
            }
            let rights: Vec<&str> = values.iter().map(|(_, right)| right.as_str()).collect();
            let within = format!("{left} in ({})", rights.join(", "));
            Some(if key == "in" { within } else { format!("({left} is null or not {within})") })
        }
        "contains" | "starts_with" => {
            let wanted = object.needed(key, faults)?;
            if !matches!(field.kind, Kind::Text | Kind::Attribute) {
                faults.add(at, "invalid_filter", "Only a text can contain something or start with it.");
                return None;
            }
            let (field, wanted) = (format!("lower(arrow_cast({}, 'Utf8'))", field.sql), text(&wanted.to_lowercase()));
            Some(if key == "contains" {
                format!("strpos({field}, {wanted}) > 0")
            } else {
                format!("starts_with({field}, {wanted})")
            })
        }
        _ => compared(object, key, field, scope, faults),
    }
}

fn compared(object: &Object<'_>, key: &str, field: &Field, scope: &Scope, faults: &mut Faults) -> Option<String> {
    let at = object.at(key);
    let Some(value) = object.get(key) else {
        return match key {
            "is" => Some(format!("{} is null", field.sql)),
            "is_not" => Some(format!("{} is not null", field.sql)),
            _ => {
                faults.add(at, "invalid_value", "Only \"is\" and \"is_not\" take null.");
                None
            }
        };
    };
    let (left, right) = match (key, field.kind) {
        ("is" | "is_not", _) | (_, Kind::Time | Kind::Number | Kind::Money | Kind::Duration) => {
            literal(value, field, scope, &at, faults)?
        }
        // What an attribute is compared with says whether it is taken for a number.
        (_, Kind::Attribute) => literal(value, field, scope, &at, faults)?,
        (_, Kind::Text | Kind::Flag) => {
            faults.add(at, "invalid_filter", "Only numbers, durations and times are above or below something.");
            return None;
        }
    };
    Some(match key {
        "is_not" => format!("({left} is null or {left} <> {right})"),
        "above" => format!("{left} > {right}"),
        "at_least" => format!("{left} >= {right}"),
        "below" => format!("{left} < {right}"),
        "at_most" => format!("{left} <= {right}"),
        _ => format!("{left} = {right}"),
    })
}

/// The field and a value of the caller's, as they are compared.
fn literal(value: &Value, field: &Field, scope: &Scope, at: &str, faults: &mut Faults) -> Option<(String, String)> {
    let wrong = |faults: &mut Faults, wanted: &str| {
        faults.add(at, "invalid_value", format!("\"{}\" is compared with {wanted}.", field.name));
        None
    };
    let right = match field.kind {
        Kind::Text => value.as_str().map(text).or_else(|| wrong(faults, "a text"))?,
        Kind::Flag => value.as_bool().map(|it| it.to_string()).or_else(|| wrong(faults, "true or false"))?,
        Kind::Number | Kind::Money => number(value).or_else(|| wrong(faults, "a number"))?,
        Kind::Duration => {
            let seconds = seconds_of(value).map(|seconds| format!("{seconds:?}"));
            seconds.or_else(|| wrong(faults, "a duration such as \"7d\", or seconds"))?
        }
        Kind::Time => {
            let at = value.as_str().and_then(|it| instant_of(it, scope.zone)).map(instant);
            at.or_else(|| wrong(faults, "a date, or a time as RFC 3339 has it"))?
        }
        Kind::Attribute => {
            if let (Some(number), Some(left)) = (number(value), field.number()) {
                return Some((left, number));
            }
            let flag = value.as_bool().map(|it| text(&it.to_string()));
            flag.or_else(|| value.as_str().map(text)).or_else(|| wrong(faults, "a text, a number, true or false"))?
        }
    };
    Some((field.sql.clone(), right))
}

fn number(value: &Value) -> Option<String> {
    let Value::Number(number) = value else { return None };
    // As JSON has it: digits, a point, an exponent.
    number.as_f64().filter(|it| it.is_finite()).map(|_| number.to_string())
}
