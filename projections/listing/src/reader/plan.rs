//! What of a query about leads the columns answer, and what SQLite.
//!
//! The columns know what most filters are about. What they don't know either leaves few leads, which SQLite finds by an
//! index, or it is compared lead by lead, in the order of the sort, until the page is full.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use rustc_hash::FxHashSet;

use super::condition::Condition;
use crate::columns::{TextColumn, Wanted};
use crate::query::{Filters, LeadQuery, RangeFilter, SortKey, TextFilter, Values};
use crate::store::Phase;

/// The leads of so many visitors are quicker to find by an index than in a pass over all leads.
const FEW_VISITORS_MAX: usize = 1_000;
/// Of more visitors that the full text finds, a page of leads is soon found by comparing one after the other.
const FOUND_VISITORS_MAX: usize = 50_000;
/// The full text knows parts of words of so many letters.
const LETTERS: usize = 3;
/// So many parts of words are looked for. The exact comparison that follows sees to the rest.
const PARTS_MAX: usize = 24;

/// How the leads of a query are found.
#[derive(Debug)]
pub(super) struct Plan {
    /// What the columns are to compare.
    pub(super) wanted: Wanted,
    pub(super) rows: Rows,
}

/// Which leads come into question.
#[derive(Debug)]
pub(super) enum Rows {
    /// Few, which an index finds.
    Few {
        /// `INDEXED BY …`, or nothing where there are no indexes yet.
        index: &'static str,
        /// Everything that the columns don't know.
        condition: Condition,
    },
    /// All of them.
    All {
        /// What the columns don't know; empty when they know everything.
        rest: Condition,
    },
}

/// Plans a query about leads.
pub(super) fn leads(connection: &Connection, phase: Phase, query: &LeadQuery) -> rusqlite::Result<Plan> {
    let (tenant, filters) = (query.tenant.0, &query.filters);
    let mut wanted = Wanted { tenant, ..Wanted::default() };
    wanted.ranges = filters.ranges.iter().map(|(filter, span)| (number_of(*filter), *span)).collect();
    let (mut few, mut index) = (Condition::default(), "");
    for (filter, values) in &filters.texts {
        match place_of(*filter) {
            Known::Text(column) => wanted.texts.push((column, values.clone())),
            Known::Status => wanted.is_open = is_open(values),
            Known::Group => wanted.texts.push((TextColumn::LeadType, lead_types(connection, tenant, values)?)),
            Known::Customer => {
                few.and(Condition::one_of("l.customer_id", values));
                index = if index.is_empty() { "INDEXED BY leads_by_customer" } else { index };
            }
            Known::Contact(column) => {
                few.and(contact_condition(column, values, tenant));
                index = "INDEXED BY leads_by_visitor";
            }
        }
    }
    if few.is_empty() && phase == Phase::Indexed {
        match found_by_search(connection, filters)? {
            Found::Few(condition) => (few, index) = (condition, "INDEXED BY leads_by_visitor"),
            Found::Some(visitors) => wanted.visitors = Some(visitors),
            Found::Many => {}
        }
    }
    let mut rest = Condition::default();
    filters.attributes.iter().for_each(|(name, values)| rest.and(attribute_condition(name, values)));
    filters.search.iter().for_each(|word| rest.and(search_condition(word)));
    let rows = if few.is_empty() {
        Rows::All { rest }
    } else {
        let mut condition = Condition::of_tenant(tenant);
        condition.and(few);
        condition.and(rest);
        Rows::Few { index: if phase == Phase::Indexed { index } else { "" }, condition }
    };
    Ok(Plan { wanted, rows })
}

/// Who knows the values of a filter.
enum Known {
    /// A column.
    Text(TextColumn),
    /// The column of causes.
    Status,
    /// The policy, for the column of lead types.
    Group,
    /// The leads table only.
    Customer,
    /// This column of the visitors table.
    Contact(&'static str),
}

const fn place_of(filter: TextFilter) -> Known {
    match filter {
        TextFilter::Status => Known::Status,
        TextFilter::Group => Known::Group,
        TextFilter::CustomerId => Known::Customer,
        TextFilter::Email => Known::Contact("email"),
        TextFilter::Phone => Known::Contact("phone"),
        TextFilter::LeadType => Known::Text(TextColumn::LeadType),
        TextFilter::Skill => Known::Text(TextColumn::Skill),
        TextFilter::Channel => Known::Text(TextColumn::Channel),
        TextFilter::Temperature => Known::Text(TextColumn::Temperature),
        TextFilter::Grade => Known::Text(TextColumn::Grade),
        TextFilter::Stage => Known::Text(TextColumn::Stage),
        TextFilter::Owner => Known::Text(TextColumn::Owner),
        TextFilter::CloseCause => Known::Text(TextColumn::CloseCause),
        TextFilter::Campaign => Known::Text(TextColumn::Campaign),
    }
}

const fn number_of(filter: RangeFilter) -> SortKey {
    match filter {
        RangeFilter::Score => SortKey::Score,
        RangeFilter::Value => SortKey::Value,
        RangeFilter::Opened => SortKey::OpenedAt,
        RangeFilter::Closed => SortKey::ClosedAt,
        RangeFilter::LastInteraction => SortKey::LastInteractionAt,
    }
}

fn is_open(values: &Values) -> Option<bool> {
    let (open, closed) = (values.iter().any(|value| value == "open"), values.iter().any(|value| value == "closed"));
    (open != closed).then_some(open)
}

/// The lead types of these groups, in the policy in force.
fn lead_types(connection: &Connection, tenant: u32, groups: &Values) -> rusqlite::Result<Values> {
    let mut condition = Condition::new("tenant = ?", [Value::Integer(tenant.into())]);
    condition.and(Condition::one_of("grp", groups));
    let mut statement = connection.prepare_cached(&format!("SELECT name FROM lead_types WHERE {}", condition.sql))?;
    statement.query_map(params_from_iter(condition.values), |row| row.get(0))?.collect()
}

fn contact_condition(column: &str, values: &Values, tenant: u32) -> Condition {
    let mut condition = Condition::one_of(column, values);
    condition.sql = format!("l.visitor IN (SELECT id FROM visitors WHERE tenant = ? AND {})", condition.sql);
    condition.values.insert(0, Value::Integer(tenant.into()));
    condition
}

/// Compares the stored value's JSON: a text, or a number or truth value that is written so.
fn attribute_condition(name: &str, values: &Values) -> Condition {
    let literal = |value: &String| {
        let bare = matches!(serde_json::from_str(value), Ok(serde_json::Value::Bool(_) | serde_json::Value::Number(_)));
        let text = serde_json::Value::String(value.clone()).to_string();
        std::iter::once(text).chain(bare.then(|| value.clone()))
    };
    let literals: Values = values.iter().flat_map(literal).collect();
    let mut condition = Condition::one_of("l.attributes -> ?", &literals);
    condition.values.insert(0, Value::Text(format!("$.\"{name}\"[0]")));
    condition
}

/// Compares what the contact shows with a word that is looked for.
fn search_condition(word: &str) -> Condition {
    let sql = "EXISTS (SELECT 1 FROM visitors v WHERE v.id = l.visitor AND instr(v.search, ?) > 0)";
    Condition::new(sql, [Value::Text(word.to_owned())])
}

/// The visitors whom the full text finds: all who match, and some who don't.
enum Found {
    /// So few that a condition on them may lead to their leads.
    Few(Condition),
    Some(FxHashSet<i64>),
    /// So many that they are not worth knowing, or the words are too short for the full text.
    Many,
}

fn found_by_search(connection: &Connection, filters: &Filters) -> rusqlite::Result<Found> {
    let Some(parts) = parts_of(&filters.search) else { return Ok(Found::Many) };
    let select = "SELECT rowid FROM contact_search WHERE contact_search MATCH ?";
    let mut statement = connection.prepare_cached(&format!("{select} LIMIT {}", FOUND_VISITORS_MAX + 1))?;
    let visitors = statement.query_map([&parts], |row| row.get(0))?.collect::<Result<FxHashSet<i64>, _>>()?;
    if visitors.len() <= FEW_VISITORS_MAX {
        return Ok(Found::Few(Condition::new(format!("l.visitor IN ({select})"), [Value::Text(parts)])));
    }
    Ok(if visitors.len() <= FOUND_VISITORS_MAX { Found::Some(visitors) } else { Found::Many })
}

/// The parts of the words in the full text's language: whoever shows the words shows all their parts. Comparing parts
/// needs no visitor's row, which `LIKE` would read for each that it finds.
fn parts_of(words: &Values) -> Option<String> {
    let mut parts = Vec::new();
    for word in words {
        let letters: Vec<char> = word.chars().collect();
        for part in letters.windows(LETTERS).filter(|part| !part.contains(&'\0')) {
            let part: String = part.iter().collect();
            parts.push(format!("\"{}\"", part.replace('"', "\"\"")));
        }
    }
    parts.truncate(PARTS_MAX);
    (!parts.is_empty()).then(|| parts.join(" AND "))
}
