//! What is measured: counts, sums, averages, percentiles, shares, extremes, and what is calculated from them.

use serde_json::Value;

use crate::report::calendar::Unit;
use crate::report::document::Scope;
use crate::report::document::object::Object;
use crate::report::fault::{Faults, shown};
use crate::report::field::{Field, Kind};
use crate::report::filter::{self, Filter};
use crate::report::formula::{self, Formula};

/// A measure of each group of rows.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    pub(crate) name: String,
    pub(crate) what: What,
    /// Rows that don't pass are not measured.
    pub(crate) filters: Vec<Filter>,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// Rows, or those in which the field says something.
    Count(Option<Field>),
    /// Different values.
    Distinct(Field),
    Sum(Field),
    /// The mean of the values that are there.
    Average(Field),
    /// A count or a sum, over the number of units of time.
    PerUnit(Option<Field>, Unit),
    /// Between neighbouring values in proportion.
    Percentile(Field, f64),
    /// Of a count or a sum: which part of that of all rows together, in percent.
    Percentage(Option<Field>),
    Min(Field),
    Max(Field),
    Formula(Formula),
}

const KEYS: [&str; 6] = ["name", "function", "field", "per", "filters", "formula"];
const FUNCTIONS: [&str; 10] =
    ["count", "count_distinct", "sum", "average", "average_per", "percentage", "min", "max", "median", "p95"];
const EXAMPLE: &str =
    "A measure is a text such as \"count\" or \"sum:sale_value\", or an object with a function or a formula.";

/// Reads the measures, at most so many.
pub(crate) fn read_all(object: &Object<'_>, scope: &Scope, most: usize, faults: &mut Faults) -> Vec<Measure> {
    let list = object.list("measures", most, faults);
    if object.get("measures").is_none_or(|it| it.as_array().is_some_and(Vec::is_empty)) {
        faults.add("measures", "missing", "Name at least one measure, such as \"count\".");
    }
    let mut measures: Vec<Measure> = Vec::new();
    for (place, value) in list.iter().enumerate() {
        let path = format!("measures[{place}]");
        let measure = match value {
            Value::String(text) => {
                let (function, field) = text.split_once(':').map_or((text.as_str(), None), |(it, of)| (it, Some(of)));
                let said = Said { function, field, per: None, path };
                said.what(scope, faults).map(|what| Measure { name: said.name(), what, filters: Vec::new() })
            }
            Value::Object(fields) => read(&Object::new(fields, path, &KEYS, faults), scope, &measures, faults),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                faults.add(path, "invalid_type", EXAMPLE);
                None
            }
        };
        // One that is wrong keeps its place and name, so that what refers to it is not wrong for that.
        measures.push(measure.unwrap_or_else(|| {
            let name = match value {
                Value::String(text) => text.replace(':', "_"),
                Value::Object(fields) => {
                    fields.get("name").and_then(Value::as_str).map_or_else(|| format!("#{place}"), str::to_owned)
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => format!("#{place}"),
            };
            Measure { name, what: What::Count(None), filters: Vec::new() }
        }));
    }
    measures
}

fn read(object: &Object<'_>, scope: &Scope, before: &[Measure], faults: &mut Faults) -> Option<Measure> {
    let name = object.text("name", faults);
    if let Some(text) = object.text("formula", faults) {
        if object.has("function") || object.has("field") || object.has("filters") || object.has("per") {
            faults.add(object.at("formula"), "invalid_measure", "A formula stands alone, with a name.");
        }
        let name = object.needed("name", faults);
        let known = |wanted: &str| before.iter().position(|measure| measure.name == wanted);
        return match formula::read(text, &known) {
            Ok(formula) => Some(Measure { name: name?.to_owned(), what: What::Formula(formula), filters: Vec::new() }),
            Err(message) => {
                faults.add(object.at("formula"), "invalid_formula", message);
                None
            }
        };
    }
    let filters = filter::read_all(object, "filters", scope, faults);
    let field = object.text("field", faults);
    let per = object.text("per", faults);
    let function = object.needed("function", faults)?;
    let said = Said { function, field, per, path: object.at("function") };
    let what = said.what(scope, faults)?;
    Some(Measure { name: name.map_or_else(|| said.name(), str::to_owned), what, filters })
}

/// A measure as it was asked for.
struct Said<'a> {
    function: &'a str,
    field: Option<&'a str>,
    per: Option<&'a str>,
    path: String,
}

impl Said<'_> {
    fn name(&self) -> String {
        let field = self.field.map(|field| format!("_{field}")).unwrap_or_default();
        let per = self.per.map(|per| format!("_per_{per}")).unwrap_or_default();
        format!("{}{field}{per}", self.function.trim_end_matches("_per"))
    }

    fn what(&self, scope: &Scope, faults: &mut Faults) -> Option<What> {
        let path = || self.path.replace(".function", ".field");
        let field = match self.field {
            Some(name) => Some(scope.field(name, path(), faults)?),
            None => None,
        };
        if self.per.is_some() && self.function != "average_per" {
            let message = "Only average_per takes a unit of time.";
            faults.add(self.path.replace(".function", ".per"), "invalid_measure", message);
        }
        let share = share_of(self.function);
        match (self.function, field, share) {
            ("count", field, _) => Some(What::Count(field)),
            ("percentage", None, _) => Some(What::Percentage(None)),
            ("average_per", field, _) => {
                let unit = self.unit(scope, faults)?;
                match field {
                    Some(field) => self.numeric(field, faults).map(|field| What::PerUnit(Some(field), unit)),
                    None => Some(What::PerUnit(None, unit)),
                }
            }
            ("count_distinct", Some(field), _) => Some(What::Distinct(field)),
            ("sum", Some(field), _) => self.numeric(field, faults).map(What::Sum),
            ("average", Some(field), _) => self.numeric(field, faults).map(What::Average),
            ("percentage", Some(field), _) => self.numeric(field, faults).map(|field| What::Percentage(Some(field))),
            ("min", Some(field), _) => self.ordered(field, faults).map(What::Min),
            ("max", Some(field), _) => self.ordered(field, faults).map(What::Max),
            (_, Some(field), Some(share)) => self.numeric(field, faults).map(|field| What::Percentile(field, share)),
            (function, None, share) if share.is_some() || FUNCTIONS.contains(&function) => {
                faults.add(path(), "missing", format!("{function} needs a field."));
                None
            }
            (function, _, _) => {
                faults.unknown(&self.path, "function", function, FUNCTIONS);
                None
            }
        }
    }

    fn unit(&self, scope: &Scope, faults: &mut Faults) -> Option<Unit> {
        let path = self.path.replace(".function", ".per");
        let Some(per) = self.per else {
            faults.add(path, "missing", "average_per needs a unit of time in \"per\", such as \"day\".");
            return None;
        };
        if !scope.has_whole_period {
            faults.add(&path, "missing_period", "An average per unit of time needs a period with both ends.");
        }
        let unit = Unit::named(per);
        if unit.is_none() {
            faults.unknown(path, "unit", per, Unit::ALL.map(Unit::name));
        }
        unit
    }

    fn numeric(&self, field: Field, faults: &mut Faults) -> Option<Field> {
        if field.number().is_some() {
            return Some(field);
        }
        let message = format!("{} needs numbers, and \"{}\" has none.", shown(self.function), field.name);
        faults.add(self.path.replace(".function", ".field"), "invalid_field", message);
        None
    }

    fn ordered(&self, field: Field, faults: &mut Faults) -> Option<Field> {
        if field.kind == Kind::Time { Some(field) } else { self.numeric(field, faults) }
    }
}

/// The share of a percentile: of `p95` it is 0.95, and the median's is 0.5.
fn share_of(function: &str) -> Option<f64> {
    if function == "median" {
        return Some(0.5);
    }
    let percent: f64 =
        function.strip_prefix('p').filter(|it| it.starts_with(|digit: char| digit.is_ascii_digit()))?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent / 100.0)
}

impl What {
    /// The field whose money it adds or compares.
    pub(crate) fn money(&self) -> Option<&Field> {
        let field = match self {
            Self::Sum(field)
            | Self::Average(field)
            | Self::PerUnit(Some(field), _)
            | Self::Percentile(field, _)
            | Self::Percentage(Some(field))
            | Self::Min(field)
            | Self::Max(field) => Some(field),
            Self::Count(_) | Self::Distinct(_) | Self::PerUnit(None, _) | Self::Percentage(None) | Self::Formula(_) => {
                None
            }
        };
        field.filter(|field| field.currency.is_some())
    }

    /// The field that it needs.
    pub(crate) const fn field(&self) -> Option<&Field> {
        match self {
            Self::Sum(field)
            | Self::Average(field)
            | Self::Percentile(field, _)
            | Self::Distinct(field)
            | Self::Min(field)
            | Self::Max(field) => Some(field),
            Self::Count(field) | Self::PerUnit(field, _) | Self::Percentage(field) => field.as_ref(),
            Self::Formula(_) => None,
        }
    }
}
