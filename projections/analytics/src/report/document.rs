//! A document as it is read: every fault at once, and behind it a question that can be answered.

pub(crate) mod dimension;
pub(crate) mod object;

use std::collections::BTreeSet;

use chrono_tz::Tz;
use serde_json::{Map, Value};

use crate::report::attribution::Attribution;
use crate::report::calendar::Span;
use crate::report::document::dimension::{By, Dimension};
use crate::report::document::object::Object;
use crate::report::fault::{Fault, Faults, shown};
use crate::report::field::{Field, Source};
use crate::report::filter::{self, Filter};
use crate::report::measure::{self, Measure};

/// What the document leaves open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Up to when ages count, in milliseconds since the epoch.
    pub now: i64,
    /// The zone of a document that names none, by its IANA name; UTC where there is no such zone.
    pub zone: String,
}

/// A document that makes sense: what to measure, of what, grouped and filtered by what.
#[derive(Clone, Debug)]
pub struct Question {
    pub(crate) source: Source,
    pub(crate) measures: Vec<Measure>,
    pub(crate) dimensions: Vec<Dimension>,
    pub(crate) filters: Vec<Filter>,
    /// The date that the period is of.
    pub(crate) origin: Field,
    pub(crate) period: Period,
    /// The time that the period is compared with.
    pub(crate) previous: Option<Span>,
    pub(crate) order: Vec<Order>,
    pub(crate) limit: usize,
    pub(crate) zone: Tz,
    pub(crate) now: i64,
    pub(crate) attribution: Option<Attribution>,
}

/// From when, and up to, but not at, when; either end may be open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Period {
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
}

impl Period {
    pub(crate) fn span(self) -> Option<Span> {
        Some(Span { from: self.from?, to: self.to? })
    }
}

/// A column to sort by, by its place: dimensions first, then measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) column: usize,
    pub(crate) is_descending: bool,
}

/// What the parts of a document are read with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) source: Source,
    pub(crate) now: i64,
    pub(crate) zone: Tz,
    pub(crate) has_whole_period: bool,
}

impl Scope {
    pub(crate) fn field(&self, name: &str, path: String, faults: &mut Faults) -> Option<Field> {
        let field = self.source.field(name, self.now);
        if field.is_none() {
            let names = self.source.field_names();
            faults.unknown(path, "field", name, names.iter().map(String::as_str));
        }
        field
    }
}

/// A longer document is nobody's question.
const TEXT_BYTES_MAX: usize = 64 << 10;
const MEASURES_MAX: usize = 32;
const NAME_MAX: usize = 256;
const ORDER_MAX: usize = 8;
/// Rows of an answer, and where nobody says.
const LIMIT_MAX: usize = 10_000;
const LIMIT_USUAL: usize = 1_000;
/// What comparing adds to the names of measures.
pub(crate) const PREVIOUS: &str = "_previous";
pub(crate) const VARIATION: &str = "_variation";

const KEYS: [&str; 11] = [
    "source",
    "measures",
    "dimensions",
    "filters",
    "period",
    "date_origin",
    "zone",
    "compare",
    "order",
    "limit",
    "attribution",
];

impl Question {
    /// Reads a document.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(document: &[u8], setting: &Setting) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let read = root(document, &mut faults).and_then(|root| question(&root, setting, &mut faults));
        match read {
            Some(question) if faults.is_empty() => Ok(question),
            Some(_) | None => Err(faults.found()),
        }
    }
}

fn root(document: &[u8], faults: &mut Faults) -> Option<Map<String, Value>> {
    if document.len() > TEXT_BYTES_MAX {
        faults.add("", "too_long", "A query may have 64 KiB.");
        return None;
    }
    match serde_json::from_slice(document) {
        Ok(Value::Object(root)) => Some(root),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            let example = "A query is an object, such as {\"source\": \"leads\", \"measures\": [\"count\"]}.";
            faults.add("", "invalid_body", example);
            None
        }
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            faults.add("", "invalid_body", format!("It is no JSON: line {line}, column {column}."));
            None
        }
    }
}

fn question(root: &Map<String, Value>, setting: &Setting, faults: &mut Faults) -> Option<Question> {
    let root = Object::new(root, String::new(), &KEYS, faults);
    let source = source(&root, faults);
    let zone = zone(&root, "zone", faults).unwrap_or_else(|| setting.zone.parse().unwrap_or(Tz::UTC));
    let period = period(&root, "period", zone, faults);
    // Nothing else can be told without knowing of what rows it is.
    let source = source?;
    let now = setting.now;
    let scope = Scope { source, now, zone, has_whole_period: period.span().is_some() };
    let origin = origin(&root, &scope, faults);
    let attribution = Attribution::read(&root, source, faults);
    let filters = filter::read_all(&root, "filters", &scope, faults);
    let measures = measure::read_all(&root, &scope, MEASURES_MAX, faults);
    let origin = origin?;
    let dimensions = dimension::read_all(&root, &scope, &origin, faults);
    check_names(&dimensions, &measures, faults);
    let previous = previous(&root, period, zone, faults);
    if previous.is_some() {
        check_compared(&dimensions, &origin, faults);
    }
    let order = order(&root, &dimensions, &measures, faults);
    let limit = limit(&root, faults);
    Some(Question {
        source,
        measures,
        dimensions,
        filters,
        origin,
        period,
        previous,
        order,
        limit,
        zone,
        now,
        attribution,
    })
}

fn source(root: &Object<'_>, faults: &mut Faults) -> Option<Source> {
    let name = root.needed("source", faults)?;
    let source = Source::named(name);
    if source.is_none() {
        faults.unknown("source", "source", name, Source::ALL.map(Source::name));
    }
    source
}

/// The zone of a field, if it names one.
pub(crate) fn zone(object: &Object<'_>, key: &str, faults: &mut Faults) -> Option<Tz> {
    let name = object.text(key, faults)?;
    let zone = name.parse();
    if zone.is_err() {
        faults.unknown(object.at(key), "time zone", name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
    }
    zone.ok()
}

fn period(object: &Object<'_>, key: &str, zone: Tz, faults: &mut Faults) -> Period {
    let Some(period) = object.object(key, &["from", "to"], faults) else { return Period::default() };
    let (from, to) = (period.instant("from", zone, faults), period.instant("to", zone, faults));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        faults.add(period.at("to"), "invalid_period", "A period ends after it begins; its end doesn't belong to it.");
    }
    Period { from, to }
}

fn origin(root: &Object<'_>, scope: &Scope, faults: &mut Faults) -> Option<Field> {
    let origins = scope.source.origins();
    let named = match root.text("date_origin", faults) {
        None => origins.first(),
        Some(name) => {
            let found = origins.iter().find(|(origin, _)| *origin == name);
            if found.is_none() {
                faults.unknown("date_origin", "date origin", name, origins.iter().map(|(origin, _)| *origin));
            }
            // The usual one stands in, so that what else is wrong is told, too.
            found.or_else(|| origins.first())
        }
    };
    scope.source.field(named?.1, scope.now)
}

fn previous(root: &Object<'_>, period: Period, zone: Tz, faults: &mut Faults) -> Option<Span> {
    let compare = root.get("compare")?;
    if period.span().is_none() {
        faults.add("compare", "missing_period", "Comparing needs a period with both ends.");
    }
    if compare.is_object() {
        let compared = self::period(root, "compare", zone, faults).span();
        if compared.is_none() {
            faults.add("compare", "missing", "What is compared with needs both ends, too.");
        }
        return compared;
    }
    match root.text("compare", faults)? {
        "previous_period" => {
            let previous = period.span()?.previous(zone);
            if previous.is_none() {
                faults.add("compare", "invalid_period", "There is no calendar for the period before this one.");
            }
            previous
        }
        other => {
            faults.unknown("compare", "comparison", other, ["previous_period"]);
            None
        }
    }
}

/// Names must be others than all the rest, also with what comparing adds.
fn check_names(dimensions: &[Dimension], measures: &[Measure], faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    let named = |list: &'static str| move |(place, name): (usize, String)| (format!("{list}[{place}].name"), name);
    let of_dimensions = dimensions.iter().map(|it| it.name.clone()).enumerate().map(named("dimensions"));
    let of_measures = measures.iter().map(|it| it.name.clone()).enumerate().map(named("measures"));
    for (path, name) in of_dimensions.chain(of_measures) {
        let is_measure = path.starts_with("measures");
        if name.is_empty() || name.chars().count() > NAME_MAX || name.starts_with('-') {
            faults.add(&path, "invalid_name", "A name has 1 to 256 characters and begins with no minus.");
        }
        if is_measure && (name.ends_with(PREVIOUS) || name.ends_with(VARIATION)) {
            let message = format!("Names that end with {PREVIOUS} or {VARIATION} are those of comparisons.");
            faults.add(&path, "invalid_name", message);
        }
        if !seen.insert(name.clone()) {
            let message = format!("Another column is called \"{}\"; give it a name of its own.", shown(&name));
            faults.add(&path, "duplicate_name", message);
        }
    }
}

fn check_compared(dimensions: &[Dimension], origin: &Field, faults: &mut Faults) {
    for (place, dimension) in dimensions.iter().enumerate() {
        if matches!(dimension.by, By::Unit(..)) && dimension.field != *origin {
            let message = "With \"compare\", time must be that of the date origin.";
            faults.add(format!("dimensions[{place}].field"), "invalid_dimension", message);
        }
    }
}

fn order(root: &Object<'_>, dimensions: &[Dimension], measures: &[Measure], faults: &mut Faults) -> Vec<Order> {
    let columns: Vec<&str> =
        dimensions.iter().map(|it| it.name.as_str()).chain(measures.iter().map(|it| it.name.as_str())).collect();
    let mut order = Vec::new();
    for (place, value) in root.list("order", ORDER_MAX, faults).iter().enumerate() {
        let path = format!("order[{place}]");
        let Some(text) = value.as_str() else {
            faults.add(
                path,
                "invalid_type",
                "It must be a column's name, with a minus in front to begin with the highest.",
            );
            continue;
        };
        let name = text.strip_prefix('-').unwrap_or(text);
        match columns.iter().position(|column| *column == name) {
            Some(column) => order.push(Order { column, is_descending: text.starts_with('-') }),
            None => faults.unknown(path, "column", name, columns.iter().copied()),
        }
    }
    order
}

fn limit(root: &Object<'_>, faults: &mut Faults) -> usize {
    let Some(value) = root.get("limit") else { return LIMIT_USUAL };
    let limit = value.as_u64().and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit));
    if limit.is_none() {
        faults.add("limit", "invalid_limit", format!("It must be a whole number from 1 to {LIMIT_MAX}."));
    }
    limit.unwrap_or(LIMIT_USUAL)
}
