//! Why the tables can't be kept or read.

use std::io;
use std::path::{Path, PathBuf};

use datafusion::arrow::error::ArrowError;
use datafusion::parquet::errors::ParquetError;
use thiserror::Error;

/// The tables can't be opened, written or read.
#[derive(Debug, Error)]
pub enum AnalyticsError {
    /// The file system said no. Look at the disk, then try again.
    #[error("{doing} {path}", path = path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file is not as it was written.
    #[error("read {path}: it {fault}. Run `leadfold projections rebuild analytics`", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The files are of another version of the program.
    #[error(
        "read {path}: it has format {found}; this program knows {known}. Use the newer program, or run \
         `leadfold projections rebuild analytics`", path = path.display()
    )]
    Format {
        /// The manifest.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// Rows could not be put together.
    #[error("make rows of table {table}")]
    Rows {
        /// Which table.
        table: &'static str,
        /// What Arrow said.
        #[source]
        source: ArrowError,
    },
    /// A file could not be written.
    #[error("write {path}", path = path.display())]
    Parquet {
        /// Which file.
        path: PathBuf,
        /// What Parquet said.
        #[source]
        source: ParquetError,
    },
}

/// What is being done to which file, for errors.
pub(crate) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AnalyticsError {
    let path = path.to_owned();
    move |source| AnalyticsError::Io { doing, path, source }
}

/// A file that is not as it was written.
pub(crate) fn damaged(path: &Path, fault: impl ToString) -> AnalyticsError {
    AnalyticsError::Damaged { path: path.to_owned(), fault: fault.to_string() }
}
