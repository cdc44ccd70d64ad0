//! The leads table.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use event_log::LogPosition;
use lead_domain::policy::grid::Grade;
use lead_domain::{CloseCause, LeadId, Name, Score, Temperature, Time, VisitorId};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use crate::rows::{Columns, RowError, closed, device_of, device_row, millis, opened, product_of, product_row};
use crate::state::attributes::Attributes;
use crate::state::lead::{Closing, LeadState, Sales};
use crate::state::{Dated, lead_key, lead_of};

/// When a column is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Once, with the new row.
    Once,
    /// With every change: no index holds it.
    Always,
    /// When it changed: an index holds it.
    Indexed,
}

/// The columns that the fold writes, in the order of their parameters; the id is the parameter behind them.
const COLUMNS: [(&str, Written); 39] = [
    ("tenant", Written::Once),
    ("visitor", Written::Indexed),
    ("lead_type", Written::Always),
    ("close_cause", Written::Always),
    ("close_reason", Written::Always),
    ("opened_at", Written::Once),
    ("closed_at", Written::Always),
    ("deadline", Written::Always),
    ("first_interaction_at", Written::Always),
    ("last_interaction_at", Written::Always),
    ("interactions", Written::Always),
    ("customer_id", Written::Indexed),
    ("skill", Written::Always),
    ("channel", Written::Always),
    ("campaign", Written::Always),
    ("campaign_source", Written::Always),
    ("campaign_medium", Written::Always),
    ("owner", Written::Always),
    ("stage", Written::Always),
    ("temperature", Written::Always),
    ("grade", Written::Always),
    ("score", Written::Always),
    ("fit", Written::Always),
    ("engagement", Written::Always),
    ("score_by_category", Written::Always),
    ("sale_value", Written::Always),
    ("sale_currency", Written::Always),
    ("sale_sums", Written::Always),
    ("rgus", Written::Always),
    ("conversions", Written::Always),
    ("device", Written::Always),
    ("device_at", Written::Always),
    ("last_product", Written::Always),
    ("last_product_at", Written::Always),
    ("attributes", Written::Always),
    ("notes", Written::Always),
    ("version", Written::Always),
    ("changed_at", Written::Always),
    ("id", Written::Once),
];

static INSERT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let places: Vec<String> = (1..=COLUMNS.len()).map(|place| format!("?{place}")).collect();
    format!("INSERT INTO leads ({}) VALUES ({})", names.join(", "), places.join(", "))
});

static SELECT: LazyLock<String> = LazyLock::new(|| {
    let names: Vec<&str> = COLUMNS.iter().map(|(name, _)| *name).collect();
    format!("SELECT {} FROM leads WHERE id = ?1", names.join(", "))
});

/// Leaves the indexes alone.
static UPDATE: LazyLock<String> = LazyLock::new(|| update_sql(&[Written::Always]));
static UPDATE_INDEXED: LazyLock<String> = LazyLock::new(|| update_sql(&[Written::Always, Written::Indexed]));

fn update_sql(which: &[Written]) -> String {
    let columns = COLUMNS.iter().zip(1..).filter(|((_, written), _)| which.contains(written));
    let set: Vec<String> = columns.map(|((name, _), place)| format!("{name} = ?{place}")).collect();
    format!("UPDATE leads SET {} WHERE id = ?{}", set.join(", "), COLUMNS.len())
}

/// Writes a lead: a new row, or the changed columns of the one that is there.
pub(crate) fn write(connection: &Connection, lead: &LeadState, is_stored: bool) -> rusqlite::Result<()> {
    let sql = match (is_stored, lead.index_changed) {
        (false, _) => &*INSERT,
        (true, false) => &*UPDATE,
        (true, true) => &*UPDATE_INDEXED,
    };
    let closing = lead.closing.as_ref();
    let value = lead.sales.value();
    let attributes = (!lead.attributes.is_empty()).then(|| closed(&lead.attributes)).flatten();
    let notes: Vec<(i64, &str)> = lead.notes.iter().map(|note| (note.at, note.value.as_str())).collect();
    let device = lead.device.as_ref().map(|dated| (closed(&device_row(&dated.value)), dated.at)).unzip();
    let product = lead.last_product.as_ref().map(|dated| (closed(&product_row(&dated.value)), dated.at)).unzip();
    let score = lead.score.as_deref();
    let by_category = score.filter(|score| !score.by_category.is_empty()).and_then(categories_row);
    let parameters: [&dyn ToSql; 39] = [
        &lead.tenant,
        &lead.visitor.0.cast_signed(),
        &lead.lead_type.as_str(),
        &closing.map(|closing| closing.cause.code()),
        &closing.and_then(|closing| closing.reason.as_deref()),
        &millis(lead.opened_at),
        &closing.map(|closing| millis(closing.at)),
        &millis(lead.deadline),
        &millis(lead.first_interaction_at),
        &millis(lead.last_interaction_at),
        &lead.interactions,
        &lead.customer_id.as_deref(),
        &lead.skill.as_deref(),
        &lead.channel.as_deref(),
        &lead.campaign.as_deref(),
        &lead.campaign_source.as_deref(),
        &lead.campaign_medium.as_deref(),
        &lead.owner.as_deref(),
        &lead.stage.as_deref(),
        &lead.temperature.code(),
        &lead.grade.map(Grade::code),
        &lead.total(),
        &score.map_or(0, |score| score.fit),
        &score.map_or(0, |score| score.engagement),
        &by_category,
        &value.map(|value| value.amount),
        &value.as_ref().map(|value| value.currency.code()),
        &lead.sales.sums_to_json(),
        &lead.sales.rgus,
        &lead.sales.conversions,
        &device.0,
        &device.1,
        &product.0,
        &product.1,
        &attributes,
        &(!notes.is_empty()).then(|| closed(&notes)).flatten(),
        &lead.version,
        &lead.changed_at.0.cast_signed(),
        &lead_key(lead.id),
    ];
    connection.prepare_cached(sql)?.execute(&parameters[..]).map(|_| ())
}

/// Reads a lead's state back.
pub(crate) fn read(connection: &Connection, key: i64) -> Result<Option<LeadState>, RowError> {
    let mut statement = connection.prepare_cached(&SELECT)?;
    let read = statement.query_row([key], |row| Ok(read_state(row))).optional()?;
    read.transpose()
}

/// The columns come in the order of [`COLUMNS`].
fn read_state(row: &Row<'_>) -> Result<LeadState, RowError> {
    let columns = &mut Columns::of(row);
    let (tenant, visitor) = (columns.next()?, VisitorId(columns.unsigned()?));
    let lead_type = Name::from(columns.next::<String>()?);
    let mut lead = LeadState::opened(LeadId::default(), tenant, visitor, lead_type);
    let (cause, reason): (Option<String>, Option<Name>) = (columns.next()?, columns.name()?);
    let opened_at = columns.time()?;
    lead.closing = read_closing(cause, reason, columns.next()?)?;
    lead.begin(opened_at, columns.time()?);
    lead.first_interaction_at = columns.time()?;
    lead.last_interaction_at = columns.time()?;
    lead.interactions = columns.next()?;
    lead.customer_id = columns.name()?;
    lead.skill = columns.name()?;
    lead.channel = columns.name()?;
    lead.campaign = columns.name()?;
    lead.campaign_source = columns.name()?;
    lead.campaign_medium = columns.name()?;
    lead.owner = columns.name()?;
    lead.stage = columns.name()?;
    lead.temperature = temperature_of(&columns.next::<String>()?)?;
    lead.grade =
        columns.next::<Option<String>>()?.map(|code| Grade::of_code(&code).ok_or(RowError::Damaged)).transpose()?;
    lead.score = read_score(columns)?;
    let (_, _): (Option<i64>, Option<String>) = (columns.next()?, columns.next()?);
    if let Some(json) = columns.next::<Option<String>>()? {
        lead.sales.sums = Sales::sums_from_json(&json).ok_or(RowError::Damaged)?;
    }
    lead.sales.rgus = columns.next()?;
    lead.sales.conversions = columns.next()?;
    lead.device = read_dated(columns)?.map(|dated| Box::new(dated.map(device_of)));
    lead.last_product = read_dated(columns)?.map(|dated| Box::new(dated.map(product_of)));
    lead.attributes = attributes_of(columns.next()?)?;
    lead.notes = notes_of(columns.next()?)?.into_iter().map(|(at, value)| Dated { value, at }).collect();
    lead.version = columns.next()?;
    lead.changed_at = LogPosition(columns.unsigned()?);
    lead.id = lead_of(columns.next()?);
    Ok(lead)
}

fn read_closing(cause: Option<String>, reason: Option<Name>, at: Option<i64>) -> Result<Option<Closing>, RowError> {
    let Some(code) = cause else { return Ok(None) };
    let cause = ALL_CAUSES.into_iter().find(|cause| cause.code() == code).ok_or(RowError::Damaged)?;
    let at = Time::from_millis(at.ok_or(RowError::Damaged)?);
    Ok(Some(Closing { cause, at, reason }))
}

fn temperature_of(code: &str) -> Result<Temperature, RowError> {
    let all = [Temperature::Cold, Temperature::Warm, Temperature::Hot];
    all.into_iter().find(|temperature| temperature.code() == code).ok_or(RowError::Damaged)
}

/// Points by category as a document: an object, as it is shown.
fn categories_row(score: &Score) -> Option<String> {
    let points: BTreeMap<&str, i32> = score.by_category.iter().map(|(name, points)| (name.as_str(), *points)).collect();
    closed(&points)
}

fn read_score(columns: &mut Columns<'_>) -> Result<Option<Box<Score>>, RowError> {
    let (total, fit, engagement) = (columns.next()?, columns.next()?, columns.next()?);
    let by_category: Option<BTreeMap<String, i32>> = columns.document()?;
    let by_category = by_category.into_iter().flatten().map(|(name, points)| (Name::from(name), points)).collect();
    let score = Score { total, fit, engagement, by_category };
    Ok((score != Score::default()).then(|| Box::new(score)))
}

/// A document and the time beside it.
fn read_dated<T: serde::de::DeserializeOwned>(columns: &mut Columns<'_>) -> Result<Option<Dated<T>>, RowError> {
    let (value, at): (Option<T>, Option<i64>) = (columns.document()?, columns.next()?);
    Ok(value.zip(at).map(|(value, at)| Dated { value, at }))
}

/// The attributes of a stored lead.
pub(crate) fn attributes_of(json: Option<String>) -> Result<Attributes, RowError> {
    match json {
        Some(json) => Attributes::from_json(&json).ok_or(RowError::Damaged),
        None => Ok(Attributes::default()),
    }
}

/// The notes of a stored lead: when they were written and what they say.
pub(crate) fn notes_of(json: Option<String>) -> Result<Vec<(i64, String)>, RowError> {
    json.map_or_else(|| Ok(Vec::new()), |json| opened(&json))
}

/// Every cause, to read one back.
const ALL_CAUSES: [CloseCause; 5] =
    [CloseCause::Conversion, CloseCause::Operator, CloseCause::Inactivity, CloseCause::Merged, CloseCause::Erased];
