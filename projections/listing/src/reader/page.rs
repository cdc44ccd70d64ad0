//! One page: the rows behind a cursor, in order.
//!
//! Rows are found by their sort key and id, not by their number in the list. So whatever is inserted or changes between
//! two pages, a row that keeps its key is never skipped and never shown twice.

use event_log::LogPosition;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::plan::{self, Condition, Plan};
use super::{lead, orphan};
use crate::query::{
    After, CountMode, Cursor, Direction, Fingerprint, LeadQuery, LeadSort, OrphanQuery, Page, QueryError, SortKey,
};
use crate::row::{LeadRow, OrphanRow};
use crate::rows::RowError;
use crate::store::State;

/// The order of rows: by a column, then by id.
#[derive(Clone, Copy)]
struct Order {
    /// `FROM` with the alias `l`.
    table: &'static str,
    column: &'static str,
    has_nulls: bool,
    direction: Direction,
}

/// Rows of an order that stand together: those with a key, or those without.
struct Segment {
    condition: Condition,
    order_by: String,
}

/// A page under way.
struct Request {
    order: Order,
    plan: Plan,
    after: Option<Cursor>,
    limit: u32,
    count: CountMode,
    fingerprint: Fingerprint,
    position: LogPosition,
}

/// A page of row numbers.
struct Keys {
    keys: Vec<After>,
    next_cursor: Option<String>,
    count: Option<u64>,
}

/// A page of leads; an error in the query when its cursor is ahead of the model.
pub(super) fn leads(
    connection: &Connection,
    state: &State,
    query: &LeadQuery,
    after: Option<Cursor>,
) -> Result<Result<Page<LeadRow>, QueryError>, RowError> {
    let position = state.checkpoint.position;
    if let Err(ahead) = check_reached(after, position) {
        return Ok(Err(ahead));
    }
    let request = Request {
        order: order_of(query.sort),
        plan: plan::leads(connection, state.phase, query)?,
        after,
        limit: query.limit,
        count: query.count,
        fingerprint: query.fingerprint(),
        position,
    };
    let found = find(connection, &request)?;
    let mut items = Vec::with_capacity(found.keys.len());
    for row in &found.keys {
        items.push(lead::read(connection, query.tenant, row.id)?.ok_or(RowError::Damaged)?);
    }
    Ok(Ok(Page { items, next_cursor: found.next_cursor, position, count: found.count }))
}

/// A page of orphans; an error in the query when its cursor is ahead of the model.
pub(super) fn orphans(
    connection: &Connection,
    state: &State,
    query: &OrphanQuery,
    after: Option<Cursor>,
) -> Result<Result<Page<OrphanRow>, QueryError>, RowError> {
    let position = state.checkpoint.position;
    if let Err(ahead) = check_reached(after, position) {
        return Ok(Err(ahead));
    }
    let mut condition = Condition { sql: "l.tenant = ?".to_owned(), values: vec![i64::from(query.tenant.0).into()] };
    condition.and(plan::values_condition("l.channel", &query.channel));
    condition.and(plan::values_condition("l.skill", &query.skill));
    condition.and(plan::values_condition("l.reason", &query.reason));
    condition.and(plan::span_condition("l.occurred_at", &query.occurred));
    let direction = Direction::Descending;
    let request = Request {
        order: Order { table: "orphans l", column: "l.occurred_at", has_nulls: false, direction },
        plan: Plan { index: String::new(), condition },
        after,
        limit: query.limit,
        count: query.count,
        fingerprint: query.fingerprint(),
        position,
    };
    let found = find(connection, &request)?;
    let mut items = Vec::with_capacity(found.keys.len());
    for row in &found.keys {
        items.push(orphan::read(connection, row.id)?.ok_or(RowError::Damaged)?);
    }
    Ok(Ok(Page { items, next_cursor: found.next_cursor, position, count: found.count }))
}

pub(super) fn check_reached(after: Option<Cursor>, model: LogPosition) -> Result<(), QueryError> {
    match after {
        Some(Cursor { position: cursor, .. }) if cursor > model => Err(QueryError::CursorAhead { cursor, model }),
        Some(_) | None => Ok(()),
    }
}

const fn order_of(sort: LeadSort) -> Order {
    let (column, has_nulls) = match sort.key {
        SortKey::LastInteractionAt => ("l.last_interaction_at", false),
        SortKey::Score => ("l.score", false),
        SortKey::OpenedAt => ("l.opened_at", false),
        SortKey::ClosedAt => ("l.closed_at", true),
        SortKey::Value => ("l.sale_value", true),
    };
    Order { table: "leads l", column, has_nulls, direction: sort.direction }
}

fn find(connection: &Connection, request: &Request) -> Result<Keys, RowError> {
    let wanted = request.limit as usize;
    let mut keys = Vec::with_capacity(wanted + 1);
    for segment in request.order.segments(request.after.map(|cursor| cursor.after)) {
        let missing = wanted + 1 - keys.len();
        if missing > 0 {
            find_in(connection, request, &segment, missing, &mut keys)?;
        }
    }
    let has_more = keys.len() > wanted;
    keys.truncate(wanted);
    // The first page's position: a model that was built anew must have got there before it can go on.
    let position = request.after.map_or(request.position, |cursor| cursor.position);
    let fingerprint = request.fingerprint;
    let last = keys.last().filter(|_| has_more);
    let next_cursor = last.map(|after| Cursor { fingerprint, after: *after, position }.to_text());
    let count = match request.count {
        CountMode::None => None,
        CountMode::Exact => Some(count(connection, request)?),
    };
    Ok(Keys { keys, next_cursor, count })
}

fn find_in(
    connection: &Connection,
    request: &Request,
    segment: &Segment,
    missing: usize,
    keys: &mut Vec<After>,
) -> rusqlite::Result<()> {
    let Order { table, column, .. } = request.order;
    let Plan { index, condition } = &request.plan;
    let sql = format!(
        "SELECT {column}, l.id FROM {table} {index} WHERE {} AND {} ORDER BY {} LIMIT ?",
        condition.sql, segment.condition.sql, segment.order_by
    );
    let limit = Value::Integer(i64::try_from(missing).unwrap_or(i64::MAX));
    let values = condition.values.iter().chain(&segment.condition.values).chain([&limit]);
    let mut statement = connection.prepare_cached(&sql)?;
    let rows =
        statement.query_map(params_from_iter(values), |row| Ok(After { value: row.get(0)?, id: row.get(1)? }))?;
    for row in rows {
        keys.push(row?);
    }
    Ok(())
}

fn count(connection: &Connection, request: &Request) -> rusqlite::Result<u64> {
    let Plan { index, condition } = &request.plan;
    let sql = format!("SELECT count(*) FROM {} {index} WHERE {}", request.order.table, condition.sql);
    connection
        .prepare_cached(&sql)?
        .query_row(params_from_iter(&condition.values), |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))
}

impl Order {
    /// The rows behind `after`, or all, in order.
    fn segments(&self, after: Option<After>) -> Vec<Segment> {
        match after {
            None => {
                let mut segments = vec![self.with_key(None)];
                segments.extend(self.has_nulls.then(|| self.without_key(None)));
                segments
            }
            Some(After { value: Some(value), id }) => {
                let mut segments = vec![self.with_key(Some((value, id)))];
                segments.extend(self.has_nulls.then(|| self.without_key(None)));
                segments
            }
            Some(After { value: None, id }) => vec![self.without_key(Some(id))],
        }
    }

    fn with_key(&self, after: Option<(i64, i64)>) -> Segment {
        let (direction, column) = (self.word(), self.column);
        let (sql, values) = match after {
            Some((value, id)) => (
                format!("({column}, l.id) {} (?, ?)", self.operator()),
                vec![Value::Integer(value), Value::Integer(id)],
            ),
            // Leaves nulls out in a way that the index can start with.
            None if self.has_nulls => (format!("{column} >= ?"), vec![Value::Integer(i64::MIN)]),
            None => ("TRUE".to_owned(), Vec::new()),
        };
        let condition = Condition { sql, values };
        Segment { condition, order_by: format!("{column} {direction}, l.id {direction}") }
    }

    fn without_key(&self, after: Option<i64>) -> Segment {
        let (direction, column) = (self.word(), self.column);
        let mut condition = Condition { sql: format!("{column} IS NULL"), values: Vec::new() };
        if let Some(id) = after {
            condition.and(Condition { sql: format!("l.id {} ?", self.operator()), values: vec![Value::Integer(id)] });
        }
        Segment { condition, order_by: format!("l.id {direction}") }
    }

    const fn word(&self) -> &'static str {
        match self.direction {
            Direction::Ascending => "ASC",
            Direction::Descending => "DESC",
        }
    }

    const fn operator(&self) -> &'static str {
        match self.direction {
            Direction::Ascending => ">",
            Direction::Descending => "<",
        }
    }
}
