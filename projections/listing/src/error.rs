//! Why the listing could not do what was asked.

use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::query::QueryError;

/// Why the listing could not do what was asked. Never holds a value of a row or a filter.
#[derive(Debug, Error)]
pub enum ListingError {
    /// There is no model yet.
    #[error("open the listing \"{}\": it isn't there yet. Run `leadfold projections rebuild listing`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file's bytes are not what they should be.
    #[error("{doing} the listing \"{}\": the file is damaged. Run `leadfold projections rebuild listing`", path.display())]
    Damaged {
        /// What was being done: "open", "read" …
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What SQLite said, where it said something.
        #[source]
        source: Option<rusqlite::Error>,
    },
    /// A database, but not ours.
    #[error(
        "open the listing \"{}\": this is another program's database. Move it away, then run \
         `leadfold projections rebuild listing`", path.display()
    )]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// A model of another version under this version's name.
    #[error(
        "open the listing \"{}\": its model has version {found}, this program's has {known}. Run \
         `leadfold projections rebuild listing`", path.display()
    )]
    OtherVersion {
        /// Which file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The version known.
        known: u32,
    },
    /// SQLite failed otherwise: a full disk, a lock, no permission.
    #[error("{doing} the listing \"{}\"", path.display())]
    Store {
        /// What was being done.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A file or folder could not be made, moved or removed.
    #[error("{doing} \"{}\"", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What was asked makes no sense.
    #[error(transparent)]
    Query(#[from] QueryError),
}

/// Which file an operation was about, to make errors of what SQLite says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Concerning<'a> {
    pub(crate) doing: &'static str,
    pub(crate) path: &'a std::path::Path,
}

impl Concerning<'_> {
    /// The error for what SQLite said.
    pub(crate) fn store(self, source: rusqlite::Error) -> ListingError {
        let (doing, path) = (self.doing, self.path.to_owned());
        let misread = matches!(
            source,
            rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
        );
        let damaged = matches!(source.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase));
        if damaged || misread {
            return ListingError::Damaged { doing, path, source: Some(source) };
        }
        ListingError::Store { doing, path, source }
    }

    /// The error for a row that can't be read back.
    pub(crate) fn damaged(self) -> ListingError {
        ListingError::Damaged { doing: self.doing, path: self.path.to_owned(), source: None }
    }
}
