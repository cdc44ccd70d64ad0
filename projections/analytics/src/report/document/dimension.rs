//! What rows are grouped by: values, units of time, bands of numbers.

use chrono_tz::Tz;
use serde_json::Value;

use crate::report::calendar::Unit;
use crate::report::document::object::{Object, seconds_of};
use crate::report::document::{Scope, zone};
use crate::report::fault::Faults;
use crate::report::field::{Field, Kind, Stored};

/// What rows are grouped by.
#[derive(Clone, Debug)]
pub(crate) struct Dimension {
    pub(crate) name: String,
    pub(crate) field: Field,
    pub(crate) by: By,
}

impl Dimension {
    /// Whether words are numbered for it.
    pub(crate) fn is_of_words(&self) -> bool {
        self.by == By::Value && self.field.stored == Stored::Words
    }

    /// Whether it is a number that is a place in a list, while rows are grouped.
    fn is_numbered(&self) -> bool {
        self.is_of_words() || matches!(self.by, By::Unit(..))
    }
}

/// Whether rows are grouped by one number that stands for two dimensions.
pub(crate) fn are_paired(dimensions: &[Dimension]) -> bool {
    dimensions.len() == 2 && dimensions.iter().all(Dimension::is_numbered)
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum By {
    Value,
    Unit(Unit, Tz),
    /// Thresholds that rise, and what each band is called: one more than there are thresholds.
    Bands(Vec<f64>, Vec<String>),
}

const DIMENSIONS_MAX: usize = 6;
const BANDS_MAX: usize = 50;
const KEYS: [&str; 5] = ["name", "field", "by", "zone", "bands"];

/// Reads the dimensions. Time is of `origin` where no field is named.
pub(crate) fn read_all(root: &Object<'_>, scope: &Scope, origin: &Field, faults: &mut Faults) -> Vec<Dimension> {
    let mut dimensions = Vec::new();
    for (place, value) in root.list("dimensions", DIMENSIONS_MAX, faults).iter().enumerate() {
        let path = format!("dimensions[{place}]");
        match value {
            Value::String(name) => {
                if let Some(unit) = Unit::named(name) {
                    let by = By::Unit(unit, scope.zone);
                    dimensions.push(Dimension { name: name.clone(), field: origin.clone(), by });
                } else if let Some(field) = scope.field(name, path, faults) {
                    dimensions.push(Dimension { name: name.clone(), field, by: By::Value });
                }
            }
            Value::Object(fields) => {
                dimensions.extend(read(&Object::new(fields, path, &KEYS, faults), scope, origin, faults));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                let example = "A dimension is a field's name, a unit of time, or an object.";
                faults.add(path, "invalid_type", example);
            }
        }
    }
    dimensions
}

fn read(object: &Object<'_>, scope: &Scope, origin: &Field, faults: &mut Faults) -> Option<Dimension> {
    let name = object.text("name", faults).map(str::to_owned);
    let unit = object.text("by", faults).and_then(|word| {
        let unit = Unit::named(word);
        if unit.is_none() {
            faults.unknown(object.at("by"), "unit", word, Unit::ALL.map(Unit::name));
        }
        unit
    });
    let zone = zone(object, "zone", faults).unwrap_or(scope.zone);
    let field = match object.text("field", faults) {
        Some(field) => scope.field(field, object.at("field"), faults)?,
        None if object.has("by") => origin.clone(),
        None => {
            faults.add(object.at("field"), "missing", "\"field\" is needed, or a unit of time in \"by\".");
            return None;
        }
    };
    if object.has("by") && field.kind != Kind::Time {
        let message = format!("\"{}\" is no time, so it has no hours, days, weeks or months.", field.name);
        faults.add(object.at("by"), "invalid_dimension", message);
        return None;
    }
    if object.has("bands") {
        let by = bands(object, &field, faults)?;
        return Some(Dimension { name: name.unwrap_or_else(|| field.name.clone()), field, by });
    }
    let by = match unit {
        Some(unit) => By::Unit(unit, zone),
        None if object.has("by") => return None,
        None => By::Value,
    };
    let usual = unit.map_or_else(|| field.name.clone(), |unit| unit.name().to_owned());
    Some(Dimension { name: name.unwrap_or(usual), field, by })
}

fn bands(object: &Object<'_>, field: &Field, faults: &mut Faults) -> Option<By> {
    let list = object.list("bands", BANDS_MAX, faults);
    let thresholds: Option<Vec<f64>> = list.iter().map(|it| seconds_of(it).filter(|it| it.is_finite())).collect();
    let rises =
        |thresholds: &Vec<f64>| thresholds.iter().zip(thresholds.iter().skip(1)).all(|(lower, higher)| lower < higher);
    let thresholds = thresholds.filter(|it| !it.is_empty() && rises(it));
    let (Some(thresholds), Some(_), false) = (thresholds, field.number(), object.has("by")) else {
        let message = "\"bands\" are rising numbers, or durations such as \"7d\", of a field with numbers.";
        faults.add(object.at("bands"), "invalid_bands", message);
        return None;
    };
    let said: Vec<String> = list.iter().map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned)).collect();
    let mut labels: Vec<String> = said.first().map(|first| format!("below {first}")).into_iter().collect();
    labels.extend(said.iter().zip(said.iter().skip(1)).map(|(lower, higher)| format!("{lower} to {higher}")));
    labels.extend(said.last().map(|last| format!("{last} and more")));
    Some(By::Bands(thresholds, labels))
}
