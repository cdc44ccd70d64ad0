//! The full text of a model that is loaded: made in memory by a thread of its own, while the rest is written, and then copied.
//!
//! FTS5 keeps an index in tables of its own beside the virtual one, and whoever has the same tables has the same index. So
//! those that were made in memory are copied row by row, which takes a hundredth of the time.

use std::thread::JoinHandle;

use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, Statement, params};

use super::schema;

/// No more text than this is indexed in memory, where the index takes about as much again.
const TEXT_BYTES_MAX: usize = 32 << 20;

/// What the visitors' rows show, by id.
type Texts = Vec<(i64, String)>;

/// A full text in the making.
#[derive(Debug)]
pub(crate) struct SearchBuild {
    thread: JoinHandle<rusqlite::Result<Connection>>,
}

impl SearchBuild {
    /// Begins to index what the visitors' rows show now; `None` where that can't be done beside the rest.
    pub(crate) fn begin(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let Some(texts) = read_texts(connection)? else { return Ok(None) };
        let thread = std::thread::Builder::new().name("full text".to_owned());
        Ok(thread.spawn(move || index(&texts)).ok().map(|thread| Self { thread }))
    }

    /// The index; `None` when it could not be made in memory.
    fn finish(self) -> Option<Connection> {
        self.thread.join().ok()?.ok()
    }
}

/// Makes the full text: from one that is under way, or else from the visitors' rows. After the former the connection must be
/// closed before anybody searches: it remembers that there was nothing.
pub(crate) fn make(connection: &Connection, build: Option<SearchBuild>) -> rusqlite::Result<()> {
    connection.execute_batch(schema::SEARCH)?;
    match build.and_then(SearchBuild::finish) {
        Some(made) => copy(&made, connection)?,
        None => connection.execute_batch(schema::FILL_SEARCH)?,
    }
    connection.execute_batch(schema::KEEP_SEARCH)
}

/// `None` when it is too much.
fn read_texts(connection: &Connection) -> rusqlite::Result<Option<Texts>> {
    let mut statement = connection.prepare("SELECT id, search FROM visitors WHERE search IS NOT NULL ORDER BY id")?;
    let mut rows = statement.query([])?;
    let (mut texts, mut bytes) = (Texts::new(), 0);
    while let Some(row) = rows.next()? {
        let text: String = row.get(1)?;
        bytes += text.len();
        if bytes > TEXT_BYTES_MAX {
            return Ok(None);
        }
        texts.push((row.get(0)?, text));
    }
    Ok(Some(texts))
}

fn index(texts: &Texts) -> rusqlite::Result<Connection> {
    let mut made = Connection::open_in_memory()?;
    let transaction = made.transaction()?;
    transaction.execute_batch(schema::SEARCH)?;
    {
        let mut insert = transaction.prepare("INSERT INTO contact_search (rowid, search) VALUES (?1, ?2)")?;
        for (id, text) in texts {
            insert.execute(params![id, text])?;
        }
    }
    transaction.commit()?;
    Ok(made)
}

/// Copies the tables that hold the index.
fn copy(from: &Connection, to: &Connection) -> rusqlite::Result<()> {
    to.execute_batch(
        "DELETE FROM contact_search_data; DELETE FROM contact_search_idx; DELETE FROM contact_search_config;",
    )?;
    copy_rows(
        from.prepare("SELECT id, block FROM contact_search_data")?,
        to.prepare("INSERT INTO contact_search_data (id, block) VALUES (?1, ?2)")?,
        2,
    )?;
    copy_rows(
        from.prepare("SELECT segid, term, pgno FROM contact_search_idx")?,
        to.prepare("INSERT INTO contact_search_idx (segid, term, pgno) VALUES (?1, ?2, ?3)")?,
        3,
    )?;
    copy_rows(
        from.prepare("SELECT k, v FROM contact_search_config")?,
        to.prepare("INSERT INTO contact_search_config (k, v) VALUES (?1, ?2)")?,
        2,
    )
}

fn copy_rows(mut from: Statement<'_>, mut to: Statement<'_>, columns: usize) -> rusqlite::Result<()> {
    let mut rows = from.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            to.raw_bind_parameter(column + 1, ToSqlOutput::Borrowed(row.get_ref(column)?))?;
        }
        to.raw_execute()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const VISITORS: u64 = 3_000;

    fn with_visitors(path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        connection.execute_batch(schema::TABLES).unwrap();
        connection.execute_batch("BEGIN").unwrap();
        let insert = "INSERT INTO visitors (id, tenant, leads_opened, search) VALUES (?1, 1, 0, ?2)";
        for id in 1..=VISITORS {
            let text = (id % 3 > 0).then(|| format!("person number {id}\nperson{id}@example.com"));
            connection.execute(insert, params![id.cast_signed(), text]).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
        connection
    }

    fn found(connection: &Connection, part: &str) -> Vec<i64> {
        let mut statement =
            connection.prepare("SELECT rowid FROM contact_search WHERE contact_search MATCH ?1").unwrap();
        statement.query_map([format!("\"{part}\"")], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn made_beside_the_rest_it_is_the_same_and_is_kept_in_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.sqlite");
        let connection = with_visitors(&path);
        let build = SearchBuild::begin(&connection).unwrap().expect("little text");
        make(&connection, Some(build)).unwrap();
        connection.close().unwrap();
        let connection = Connection::open(&path).unwrap();
        // Compares the index with the visitors' rows.
        let check = "INSERT INTO contact_search (contact_search, rank) VALUES ('integrity-check', 1)";
        connection.execute(check, []).unwrap();
        assert_eq!(found(&connection, "999"), [1_999, 2_999]);
        assert_eq!(found(&connection, "son").len() as u64, VISITORS / 3 * 2);
        connection.execute("UPDATE visitors SET search = 'somebody else' WHERE id = 2999", []).unwrap();
        connection
            .execute("INSERT INTO visitors (id, tenant, leads_opened, search) VALUES (5000, 1, 0, 'else')", [])
            .unwrap();
        connection.execute(check, []).unwrap();
        assert_eq!((found(&connection, "999"), found(&connection, "lse")), (vec![1_999], vec![2_999, 5_000]));
    }

    #[test]
    fn it_is_the_same_settings_either_way() {
        let config = |connection: &Connection| -> Vec<(String, i64)> {
            let mut statement = connection.prepare("SELECT k, v FROM contact_search_config ORDER BY k").unwrap();
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
        };
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (with_visitors(&folder.path().join("one")), with_visitors(&folder.path().join("other")));
        make(&one, SearchBuild::begin(&one).unwrap()).unwrap();
        make(&other, None).unwrap();
        assert_eq!(config(&one), config(&other));
        assert!(config(&one).contains(&("automerge".to_owned(), 8)));
    }
}
