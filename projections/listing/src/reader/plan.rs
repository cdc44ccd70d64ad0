//! How the rows of a query are found: conditions in SQL, and the index to walk.
//!
//! Either the sort's index is walked and rows that don't match are skipped, or, when a filter leaves few rows, its index
//! is walked and those few are sorted. The choice needs no statistics: it counts, up to a limit.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::query::{Filters, LeadQuery, RangeFilter, SortKey, Span, TextFilter, Values};
use crate::store::Phase;

/// Up to so many rows are quicker to sort than the sort's index is to walk.
const SORTED_ROWS_MAX: i64 = 5_000;
/// Up to so many visitors are looked up from the full text; for more, walking the sort's index finds a page sooner.
const SEARCHED_VISITORS_MAX: i64 = 1_000;
/// The full text knows parts of words of so many letters and more.
const SEARCHED_LETTERS_MIN: usize = 3;

/// A condition in SQL with the values of its places.
#[derive(Clone, Debug, Default)]
pub(super) struct Condition {
    pub(super) sql: String,
    pub(super) values: Vec<Value>,
}

/// Which rows, and how to find them.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// `INDEXED BY …`, or nothing where there are no indexes yet.
    pub(super) index: String,
    /// All conditions, joined.
    pub(super) condition: Condition,
}

/// An index that a filter's condition can walk.
struct Choice {
    index: &'static str,
    condition: Condition,
}

impl Condition {
    fn new(sql: &str, values: Vec<Value>) -> Self {
        Self { sql: sql.to_owned(), values }
    }

    fn one_of(column: &str, values: &Values) -> Self {
        let sql = format!("{column} IN ({})", places(values.len()));
        Self { sql, values: values.iter().cloned().map(Value::Text).collect() }
    }

    /// Adds a condition that must hold too.
    pub(super) fn and(&mut self, other: Self) {
        if !self.sql.is_empty() {
            self.sql.push_str(" AND ");
        }
        self.sql.push_str(&other.sql);
        self.values.extend(other.values);
    }
}

fn places(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// Plans a query about leads.
pub(super) fn leads(connection: &Connection, phase: Phase, query: &LeadQuery) -> rusqlite::Result<Plan> {
    let tenant = i64::from(query.tenant.0);
    let mut condition = Condition::new("l.tenant = ?", vec![Value::Integer(tenant)]);
    let mut choices = Vec::new();
    for (filter, values) in &query.filters.texts {
        let (index, wanted) = text_condition(*filter, values, tenant);
        if let Some(index) = index {
            choices.push(Choice { index, condition: wanted.clone() });
        }
        condition.and(wanted);
    }
    for (filter, span) in &query.filters.ranges {
        condition.and(range_condition(*filter, span));
    }
    for (name, values) in &query.filters.attributes {
        condition.and(attribute_condition(name, values));
    }
    if phase == Phase::Loading {
        condition.and_search(&query.filters);
        return Ok(Plan { index: String::new(), condition });
    }
    let mut index = sort_index(query.sort.key);
    let mut fewest = SORTED_ROWS_MAX + 1;
    for choice in choices {
        let rows = count_up_to_limit(connection, tenant, &choice)?;
        if rows < fewest {
            fewest = rows;
            index = choice.index;
        }
    }
    if fewest > SEARCHED_VISITORS_MAX
        && let Some(found) = found_by_search(connection, &query.filters)?
    {
        index = "leads_by_visitor";
        condition.and(found);
    }
    condition.and_search(&query.filters);
    Ok(Plan { index: format!("INDEXED BY {index}"), condition })
}

const fn sort_index(key: SortKey) -> &'static str {
    match key {
        SortKey::LastInteractionAt => "leads_by_last_interaction",
        SortKey::Score => "leads_by_score",
        SortKey::OpenedAt => "leads_by_opened",
        SortKey::ClosedAt => "leads_by_closed",
        SortKey::Value => "leads_by_value",
    }
}

fn count_up_to_limit(connection: &Connection, tenant: i64, choice: &Choice) -> rusqlite::Result<i64> {
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM leads l INDEXED BY {} WHERE l.tenant = ? AND {} LIMIT {})",
        choice.index,
        choice.condition.sql,
        SORTED_ROWS_MAX + 1
    );
    let values = std::iter::once(Value::Integer(tenant)).chain(choice.condition.values.iter().cloned());
    connection.prepare_cached(&sql)?.query_row(params_from_iter(values), |row| row.get(0))
}

/// The condition of a filter on a text, and the index that finds its rows.
fn text_condition(filter: TextFilter, values: &Values, tenant: i64) -> (Option<&'static str>, Condition) {
    let (index, column) = match filter {
        TextFilter::Status => return (Some("leads_by_cause"), status_condition(values)),
        TextFilter::Group => return (Some("leads_by_type"), group_condition(values, tenant)),
        TextFilter::Email => return (Some("leads_by_visitor"), contact_condition("email", values, tenant)),
        TextFilter::Phone => return (Some("leads_by_visitor"), contact_condition("phone", values, tenant)),
        TextFilter::LeadType => (Some("leads_by_type"), "l.lead_type"),
        TextFilter::Skill => (Some("leads_by_skill"), "l.skill"),
        TextFilter::Channel => (Some("leads_by_channel"), "l.channel"),
        TextFilter::Temperature => (None, "l.temperature"),
        TextFilter::Stage => (None, "l.stage"),
        TextFilter::Owner => (Some("leads_by_owner"), "l.owner"),
        TextFilter::CloseCause => (Some("leads_by_cause"), "l.close_cause"),
        TextFilter::CustomerId => (Some("leads_by_customer"), "l.customer_id"),
        TextFilter::Campaign => (Some("leads_by_campaign"), "l.campaign"),
    };
    (index, Condition::one_of(column, values))
}

fn status_condition(values: &Values) -> Condition {
    let (open, closed) = (values.iter().any(|value| value == "open"), values.iter().any(|value| value == "closed"));
    let sql = match (open, closed) {
        (true, false) => "l.close_cause IS NULL",
        (false, true) => "l.close_cause > ''",
        (true, true) | (false, false) => "TRUE",
    };
    Condition::new(sql, Vec::new())
}

fn group_condition(values: &Values, tenant: i64) -> Condition {
    let mut condition = Condition::one_of("grp", values);
    condition.sql = format!("l.lead_type IN (SELECT name FROM lead_types WHERE tenant = ? AND {})", condition.sql);
    condition.values.insert(0, Value::Integer(tenant));
    condition
}

fn contact_condition(column: &str, values: &Values, tenant: i64) -> Condition {
    let mut condition = Condition::one_of(column, values);
    condition.sql = format!("l.visitor IN (SELECT id FROM visitors WHERE tenant = ? AND {})", condition.sql);
    condition.values.insert(0, Value::Integer(tenant));
    condition
}

fn range_condition(filter: RangeFilter, span: &Span) -> Condition {
    let column = match filter {
        RangeFilter::Score => "l.score",
        RangeFilter::Value => "l.sale_value",
        RangeFilter::Opened => "l.opened_at",
        RangeFilter::Closed => "l.closed_at",
        RangeFilter::LastInteraction => "l.last_interaction_at",
    };
    span_condition(column, span)
}

/// The condition that a column lies in a span; true for an open one.
pub(super) fn span_condition(column: &str, span: &Span) -> Condition {
    let mut condition = Condition::new("TRUE", Vec::new());
    if let Some(from) = span.from {
        condition.and(Condition::new(&format!("{column} >= ?"), vec![Value::Integer(from)]));
    }
    if let Some(to) = span.to {
        condition.and(Condition::new(&format!("{column} < ?"), vec![Value::Integer(to)]));
    }
    condition
}

/// The condition that a column has one of the values; true for none.
pub(super) fn values_condition(column: &str, values: &Values) -> Condition {
    if values.is_empty() { Condition::new("TRUE", Vec::new()) } else { Condition::one_of(column, values) }
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

/// The condition that the visitor is among those that the full text finds; `None` when these are many, or when all words
/// are too short for it.
fn found_by_search(connection: &Connection, filters: &Filters) -> rusqlite::Result<Option<Condition>> {
    let mut found = Condition::default();
    for word in filters.search.iter().filter(|word| word.chars().count() >= SEARCHED_LETTERS_MIN) {
        // The wildcards of LIKE have no escape that the full text understands: any one letter stands for them, and the
        // exact comparison that follows decides.
        let pattern = word.replace(['%', '_'], "_");
        found.and(Condition::new("search LIKE ?", vec![Value::Text(format!("%{pattern}%"))]));
    }
    if found.sql.is_empty() {
        return Ok(None);
    }
    let select = format!("SELECT rowid FROM contact_search WHERE {}", found.sql);
    let counted = format!("SELECT count(*) FROM ({select} LIMIT {})", SEARCHED_VISITORS_MAX + 1);
    let mut statement = connection.prepare_cached(&counted)?;
    let visitors: i64 = statement.query_row(params_from_iter(&found.values), |row| row.get(0))?;
    found.sql = format!("l.visitor IN ({select})");
    Ok((visitors <= SEARCHED_VISITORS_MAX).then_some(found))
}

impl Condition {
    /// Compares what the contact shows with each word that is looked for.
    fn and_search(&mut self, filters: &Filters) {
        for word in &filters.search {
            let sql = "EXISTS (SELECT 1 FROM visitors v WHERE v.id = l.visitor AND instr(v.search, ?) > 0)";
            self.and(Self::new(sql, vec![Value::Text(word.clone())]));
        }
    }
}
