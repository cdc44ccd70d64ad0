//! The whole model as text.

use std::fmt::Write;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

/// Tables in order, each with its key. The state table is left out: where a model stands and whether it has indexes
/// yet says nothing about what is in it.
const TABLES: [(&str, &str); 7] = [
    ("tenants", "id"),
    ("lead_types", "tenant, name"),
    ("visitors", "id"),
    ("leads", "id"),
    ("lead_counts", "tenant, close_cause"),
    ("orphans", "id"),
    ("duplicates", "visitor, other"),
];

/// Every row of every table, a line a row: the table, then `column=value` of all that is not null.
pub(super) fn whole(connection: &Connection) -> rusqlite::Result<String> {
    let mut text = String::new();
    for (table, key) in TABLES {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY {key}"))?;
        let names: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            text.push_str(table);
            for (place, name) in names.iter().enumerate() {
                write_value(&mut text, name, row.get_ref(place)?);
            }
            text.push('\n');
        }
    }
    Ok(text)
}

fn write_value(text: &mut String, name: &str, value: ValueRef<'_>) {
    // Writing to a string never fails.
    let _ = match value {
        ValueRef::Null => Ok(()),
        ValueRef::Integer(number) => write!(text, " {name}={number}"),
        ValueRef::Real(number) => write!(text, " {name}={number}"),
        ValueRef::Text(bytes) => write!(text, " {name}={:?}", String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => write!(text, " {name}={bytes:02x?}"),
    };
}
