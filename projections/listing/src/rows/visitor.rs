//! The visitors table.

use lead_domain::{IdentifierKind, Name, VisitorId};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use serde_json::Value as Json;

use crate::rows::{Columns, RowError, closed};
use crate::state::contact::{Contact, text};
use crate::state::visitor::{Known, VisitorState};

const INSERT: &str = "INSERT INTO visitors (tenant, merged_into, absorbed, leads_opened, identifiers, learnt, name, \
     email, phone, country, locale, customer_id, search, id) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
/// Everything, for a visitor who shows something new.
const UPDATE_SHOWN: &str = "UPDATE visitors SET tenant = ?1, merged_into = ?2, absorbed = ?3, leads_opened = ?4, \
     identifiers = ?5, learnt = ?6, name = ?7, email = ?8, phone = ?9, country = ?10, locale = ?11, \
     customer_id = ?12, search = ?13 WHERE id = ?14";
/// What no index and no search holds.
const UPDATE: &str = "UPDATE visitors SET tenant = ?1, merged_into = ?2, absorbed = ?3, leads_opened = ?4, \
     identifiers = ?5, learnt = ?6 WHERE id = ?7";
const SELECT: &str =
    "SELECT id, tenant, merged_into, absorbed, leads_opened, identifiers, learnt FROM visitors WHERE id = ?1";

/// An identifier as stored: kind, key in hexadecimal digits, value, and the form that was sent.
type StoredIdentifier = (String, String, String, Option<String>);

/// Writes a visitor: a new row, or the changed columns of the one that is there.
pub(crate) fn write(connection: &Connection, visitor: &VisitorState, is_stored: bool) -> rusqlite::Result<()> {
    let id = visitor.id.0.cast_signed();
    let absorbed: Vec<u64> = visitor.absorbed.iter().map(|member| member.0).collect();
    let absorbed = (!absorbed.is_empty()).then(|| closed(&absorbed)).flatten();
    let identifiers = identifiers_to_json(&visitor.identifiers);
    let learnt = learnt_to_json(visitor);
    let merged_into = visitor.merged_into.map(|survivor| survivor.0.cast_signed());
    let unshown: [&dyn ToSql; 6] =
        [&visitor.tenant, &merged_into, &absorbed, &visitor.leads_opened, &identifiers, &learnt];
    if is_stored && !visitor.shown_changed {
        let parameters = unshown.into_iter().chain([&id as &dyn ToSql]);
        return connection.prepare_cached(UPDATE)?.execute(rusqlite::params_from_iter(parameters)).map(|_| ());
    }
    let shown = visitor.shown();
    let Contact { name, email, phone, country, locale, customer_id } = shown;
    let [name, email, phone, country, locale, customer_id] =
        [name, email, phone, country, locale, customer_id].map(text);
    // Who was merged is found under the survivor.
    let search = if visitor.merged_into.is_none() { shown.search_text() } else { None };
    let sql = if is_stored { UPDATE_SHOWN } else { INSERT };
    let shown: [&dyn ToSql; 8] = [&name, &email, &phone, &country, &locale, &customer_id, &search, &id];
    let parameters = unshown.into_iter().chain(shown);
    connection.prepare_cached(sql)?.execute(rusqlite::params_from_iter(parameters)).map(|_| ())
}

/// Reads a visitor's state back.
pub(crate) fn read(connection: &Connection, id: VisitorId) -> Result<Option<VisitorState>, RowError> {
    let mut statement = connection.prepare_cached(SELECT)?;
    let read = statement.query_row([id.0.cast_signed()], |row| Ok(read_state(row))).optional()?;
    read.transpose()
}

fn read_state(row: &Row<'_>) -> Result<VisitorState, RowError> {
    let columns = &mut Columns::of(row);
    let mut visitor = VisitorState::new(VisitorId(columns.unsigned()?), columns.next()?);
    visitor.merged_into = columns.next::<Option<i64>>()?.map(|id| VisitorId(id.cast_unsigned()));
    let absorbed: Vec<u64> = columns.document()?.unwrap_or_default();
    visitor.absorbed = absorbed.into_iter().map(VisitorId).collect();
    visitor.leads_opened = columns.next()?;
    let identifiers: Vec<StoredIdentifier> = columns.document()?.unwrap_or_default();
    let identifiers = identifiers.into_iter().map(|stored| known_of(stored).ok_or(RowError::Damaged));
    visitor.identifiers = identifiers.collect::<Result<_, _>>()?;
    if let Some((own, joint)) = columns.document::<(Json, Json)>()? {
        visitor.own = Contact::from_json(&own).ok_or(RowError::Damaged)?;
        if !joint.is_null() {
            visitor.joint = Some(Box::new(Contact::from_json(&joint).ok_or(RowError::Damaged)?));
        }
    }
    Ok(visitor)
}

/// `[own, joint or null]`.
fn learnt_to_json(visitor: &VisitorState) -> Option<String> {
    if visitor.own == Contact::default() && visitor.joint.is_none() {
        return None;
    }
    closed(&(&visitor.own, visitor.joint.as_deref()))
}

fn identifiers_to_json(identifiers: &[Known]) -> Option<String> {
    let stored: Vec<_> = identifiers
        .iter()
        .map(|known| (known.kind.name(), format!("{:032x}", known.key), known.value.as_str(), known.as_sent.as_deref()))
        .collect();
    (!stored.is_empty()).then(|| closed(&stored)).flatten()
}

fn known_of((kind, key, value, as_sent): StoredIdentifier) -> Option<Known> {
    let kind = IdentifierKind::STRONGEST_FIRST.into_iter().find(|known| known.name() == kind)?;
    let key = u128::from_str_radix(&key, 16).ok()?;
    Some(Known { kind, key, value: Name::from(value), as_sent: as_sent.map(Name::from) })
}
