//! One page of leads: the rows behind a cursor, in order.
//!
//! Rows are found by their sort key and id, not by their number in the list. So whatever is inserted or changes between
//! two pages, a row that keeps its key is never skipped and never shown twice.

use std::ops::ControlFlow;

use event_log::LogPosition;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::condition::Condition;
use super::plan::{self, Plan, Rows};
use super::{lead, scan};
use crate::columns::{Held, LeadColumns, Place};
use crate::query::{After, CountMode, Cursor, Fingerprint, LeadQuery, Page, QueryError};
use crate::row::LeadRow;
use crate::rows::RowError;
use crate::store::State;

/// So many leads are compared one by one, in the order of the sort, with what the columns don't know. When fewer than a
/// page of them match, a walk through the table finds the others sooner.
const COMPARED_MAX: usize = 5_000;

/// A page that is asked for, in one transaction.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) connection: &'a Connection,
    pub(super) state: &'a State,
    pub(super) query: &'a LeadQuery,
    pub(super) after: Option<Cursor>,
}

/// What came of it.
pub(super) enum Answer {
    Page(Page<LeadRow>),
    /// The query can't be answered yet.
    Refused(QueryError),
    /// The columns have gone beyond the transaction: ask in a new one.
    Outrun,
}

/// Keys of a page, one more where there is another page; and how many rows match in all.
struct Keys {
    keys: Vec<After>,
    count: Option<u64>,
}

/// A page of leads. `hold` gets the columns at the position of the transaction, unless they have gone beyond it.
pub(super) fn leads<'a>(
    asked: Asked<'_>,
    hold: impl FnOnce(&Connection, LogPosition) -> Result<Option<Held<'a>>, RowError>,
) -> Result<Answer, RowError> {
    let Asked { connection, state, query, after } = asked;
    let position = state.checkpoint.position;
    if let Err(ahead) = check_reached(after, position) {
        return Ok(Answer::Refused(ahead));
    }
    let Some(Keys { mut keys, count }) = find(asked, hold)? else { return Ok(Answer::Outrun) };
    let next_cursor = cut(&mut keys, query.limit, Cut { fingerprint: query.fingerprint(), after, position });
    let mut items = Vec::with_capacity(keys.len());
    for row in keys {
        items.push(lead::read(connection, query.tenant, row.id)?.ok_or(RowError::Damaged)?);
    }
    Ok(Answer::Page(Page { items, next_cursor, position, count }))
}

/// What is told of all leads that a query finds.
#[derive(Clone, Debug)]
pub enum Told {
    /// Where the model stands, and how many leads come.
    Begun {
        /// The position that all of them are true at.
        position: LogPosition,
        /// How many there are.
        leads: u64,
    },
    /// The next one.
    Lead(Box<LeadRow>),
}

/// All leads of a query, one after the other. Whether all were seen; `None` when the columns have gone beyond the
/// transaction.
pub(super) fn each<'a>(
    asked: Asked<'_>,
    see: &mut dyn FnMut(Told) -> ControlFlow<()>,
    hold: impl FnOnce(&Connection, LogPosition) -> Result<Option<Held<'a>>, RowError>,
) -> Result<Option<bool>, RowError> {
    let Asked { connection, state, query, .. } = asked;
    let Some(Keys { keys, .. }) = find(asked, hold)? else { return Ok(None) };
    let position = state.checkpoint.position;
    if see(Told::Begun { position, leads: keys.len() as u64 }).is_break() {
        return Ok(Some(false));
    }
    for row in keys {
        let found = lead::read(connection, query.tenant, row.id)?.ok_or(RowError::Damaged)?;
        if see(Told::Lead(Box::new(found))).is_break() {
            return Ok(Some(false));
        }
    }
    Ok(Some(true))
}

/// A cursor of a model that is ahead of this one can't be served.
pub(super) fn check_reached(after: Option<Cursor>, model: LogPosition) -> Result<(), QueryError> {
    match after {
        Some(Cursor { position: cursor, .. }) if cursor > model => Err(QueryError::CursorAhead { cursor, model }),
        Some(_) | None => Ok(()),
    }
}

/// What a cursor is made of, besides the last row.
pub(super) struct Cut {
    pub(super) fingerprint: Fingerprint,
    pub(super) after: Option<Cursor>,
    pub(super) position: LogPosition,
}

/// Cuts a page off at its limit. Returns the cursor of the next one, if there is more.
pub(super) fn cut(keys: &mut Vec<After>, limit: u32, Cut { fingerprint, after, position }: Cut) -> Option<String> {
    let wanted = limit as usize;
    let has_more = keys.len() > wanted;
    keys.truncate(wanted);
    // The first page's position: a model that was built anew must have got there before it can go on.
    let position = after.map_or(position, |cursor| cursor.position);
    let last = keys.last().filter(|_| has_more);
    last.map(|after| Cursor { fingerprint, after: *after, position }.to_text())
}

fn find<'a>(
    asked: Asked<'_>,
    hold: impl FnOnce(&Connection, LogPosition) -> Result<Option<Held<'a>>, RowError>,
) -> Result<Option<Keys>, RowError> {
    let Asked { connection, state, query, .. } = asked;
    let position = state.checkpoint.position;
    let plan = plan::leads(connection, state.phase, query)?;
    let rest = match &plan.rows {
        Rows::Few { index, condition } => {
            let few = scan::some(connection, position, (index, condition))?;
            return Ok(Some(asked.keys_in(&few, &plan)));
        }
        Rows::All { rest } => rest,
    };
    if rest.is_empty() {
        let held = hold(connection, position)?;
        return Ok(held.map(|held| asked.keys_in(&held, &plan)));
    }
    if query.count == CountMode::None {
        let Some(held) = hold(connection, position)? else { return Ok(None) };
        let candidates = held.first(&plan.wanted, asked.place(), COMPARED_MAX);
        // Whoever writes must not wait while rows are read.
        drop(held);
        let is_all = candidates.len() < COMPARED_MAX;
        let keys = matching(connection, candidates, (rest, asked.keys_max()))?;
        if is_all || keys.len() == asked.keys_max() {
            return Ok(Some(Keys { keys, count: None }));
        }
    }
    let mut condition = Condition::of_tenant(query.tenant.0);
    condition.and(rest.clone());
    let found = scan::some(connection, position, ("", &condition))?;
    Ok(Some(asked.keys_in(&found, &plan)))
}

/// Those of the candidates that meet the condition, in their order, up to a number.
fn matching(
    connection: &Connection,
    candidates: Vec<After>,
    (condition, most): (&Condition, usize),
) -> Result<Vec<After>, RowError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT 1 FROM leads l WHERE l.id = ? AND {}", condition.sql))?;
    let mut keys = Vec::new();
    for candidate in candidates {
        let id = Value::Integer(candidate.id);
        if statement.exists(params_from_iter(std::iter::once(&id).chain(&condition.values)))? {
            keys.push(candidate);
        }
        if keys.len() == most {
            break;
        }
    }
    Ok(keys)
}

impl Asked<'_> {
    fn place(&self) -> Place {
        Place { sort: self.query.sort, after: self.after.map(|cursor| cursor.after) }
    }

    /// A page, and one more to know whether there is another one.
    const fn keys_max(&self) -> usize {
        self.query.limit as usize + 1
    }

    fn keys_in(&self, columns: &LeadColumns, plan: &Plan) -> Keys {
        let keys = columns.first(&plan.wanted, self.place(), self.keys_max());
        let count = match self.query.count {
            CountMode::None => None,
            CountMode::Exact => Some(columns.count(&plan.wanted)),
        };
        Keys { keys, count }
    }
}
