//! Suspected duplicates. They are stored as pairs of visitors as they were, and shown as who those are after merges, so
//! several stored pairs may be about one. Knows neither leads nor contacts.

use std::collections::BTreeMap;

use event_log::LogPosition;
use lead_domain::VisitorId;
use rusqlite::{Connection, params};

use super::page::check_reached;
use super::visitor::{holder, read_family};
use crate::query::{After, CountMode, Cursor, DuplicateQuery, Page, QueryError};
use crate::row::DuplicatePairRow;
use crate::rows::{Columns, RowError, visitor};
use crate::state::visitor::VisitorState;
use crate::store::State;

/// What is known of two visitors who may be the same person.
#[derive(Debug)]
pub(super) struct Suspicion {
    /// An operator said that they are different people.
    pub(super) settled: bool,
    /// The kind of the identifier that they share, where known.
    pub(super) kind: Option<String>,
    /// The first of the stored pairs that say so; of settled ones, if any is.
    shown_at: (Unsettled, StoredPair),
}

/// Sorts settled pairs first.
type Unsettled = bool;

/// The older and the younger of two visitors as they were.
type StoredPair = (VisitorId, VisitorId);

/// Whom a visitor with its members may be the same person as, by who holds the other one now.
pub(super) fn suspicions(
    connection: &Connection,
    family: &[VisitorState],
) -> Result<BTreeMap<VisitorId, Suspicion>, RowError> {
    let mut by_holder: BTreeMap<VisitorId, Suspicion> = BTreeMap::new();
    let mut statement = connection.prepare_cached(
        "SELECT other, kind, settled FROM duplicates WHERE visitor = ?1
         UNION ALL SELECT visitor, kind, settled FROM duplicates WHERE other = ?1",
    )?;
    for member in family {
        let pairs = statement.query_map([member.id.0.cast_signed()], |row| {
            let columns = &mut Columns::of(row);
            Ok((VisitorId(columns.unsigned()?), columns.next::<Option<String>>()?, columns.next::<bool>()?))
        })?;
        for pair in pairs {
            let (other, kind, settled) = pair?;
            let shown_at = (!settled, (member.id.min(other), member.id.max(other)));
            let other = holder(connection, other)?;
            let known = by_holder.entry(other).or_insert(Suspicion { settled, kind: None, shown_at });
            known.settled |= settled;
            known.kind = known.kind.take().or(kind);
            known.shown_at = known.shown_at.min(shown_at);
        }
    }
    by_holder.retain(|other, _| family.iter().all(|member| member.id != *other));
    Ok(by_holder)
}

/// A page of pairs, by age; an error in the query when its cursor is ahead of the model.
pub(super) fn page(
    connection: &Connection,
    state: &State,
    query: &DuplicateQuery,
    after: Option<Cursor>,
) -> Result<Result<Page<DuplicatePairRow>, QueryError>, RowError> {
    let position = state.checkpoint.position;
    if let Err(ahead) = check_reached(after, position) {
        return Ok(Err(ahead));
    }
    let wanted = query.limit as usize;
    let mut found = pairs(connection, query, after, wanted + 1)?;
    let has_more = found.len() > wanted;
    found.truncate(wanted);
    let last = found.last().filter(|_| has_more);
    let next_cursor = last.map(|(pair, _)| cursor_behind(*pair, query, after, position).to_text());
    let count = match query.count {
        CountMode::None => None,
        CountMode::Exact => Some(pairs(connection, query, None, usize::MAX)?.len() as u64),
    };
    Ok(Ok(Page { items: found.into_iter().map(|(_, row)| row).collect(), next_cursor, position, count }))
}

fn cursor_behind(pair: StoredPair, query: &DuplicateQuery, after: Option<Cursor>, model: LogPosition) -> Cursor {
    let (one, other) = pair;
    Cursor {
        fingerprint: query.fingerprint(),
        after: After { value: Some(one.0.cast_signed()), id: other.0.cast_signed() },
        position: after.map_or(model, |cursor| cursor.position),
    }
}

/// At most `limit` pairs behind a cursor. Stored pairs of visitors who have merged since are passed over.
fn pairs(
    connection: &Connection,
    query: &DuplicateQuery,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Vec<(StoredPair, DuplicatePairRow)>, RowError> {
    let (one, other) = after.map_or((0, 0), |cursor| (cursor.after.value.unwrap_or_default(), cursor.after.id));
    let mut statement = connection.prepare_cached(
        "SELECT visitor, other FROM duplicates WHERE tenant = ?1 AND settled = ?2 AND (visitor, other) > (?3, ?4)
         ORDER BY visitor, other",
    )?;
    let mut rows = statement.query(params![query.tenant.0, query.settled, one, other])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let columns = &mut Columns::of(row);
        let stored = (VisitorId(columns.unsigned()?), VisitorId(columns.unsigned()?));
        if let Some(row) = shown(connection, query, stored)? {
            found.push((stored, row));
            if found.len() == limit {
                break;
            }
        }
    }
    Ok(found)
}

/// The row that a stored pair is shown as; `None` when another one shows it, or there is nothing to show any more.
fn shown(
    connection: &Connection,
    query: &DuplicateQuery,
    stored: StoredPair,
) -> Result<Option<DuplicatePairRow>, RowError> {
    let (one, other) = (holder(connection, stored.0)?, holder(connection, stored.1)?);
    if one == other {
        return Ok(None);
    }
    let survivor = visitor::read(connection, one)?.ok_or(RowError::Damaged)?;
    let mut suspicions = suspicions(connection, &read_family(connection, survivor)?)?;
    let suspicion = suspicions.remove(&other).ok_or(RowError::Damaged)?;
    let is_shown = suspicion.settled == query.settled && suspicion.shown_at.1 == stored;
    Ok(is_shown.then(|| DuplicatePairRow {
        visitor_id: one.min(other),
        other_visitor_id: one.max(other),
        kind: suspicion.kind,
        settled: suspicion.settled,
    }))
}
