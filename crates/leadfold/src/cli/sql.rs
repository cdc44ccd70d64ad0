//! Questions in SQL.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Args, Debug)]
pub(crate) struct AnalyticsArgs {
    /// The query itself, the file that it is in, or `-` for standard input
    pub(crate) query: String,
    /// Seconds that it may take [default: 600]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct FunnelArgs {
    /// What to group by: fields of leads or units of time (hour, day, week, month, quarter, year), three at most
    #[arg(long, value_delimiter = ',')]
    pub(crate) by: Vec<String>,
    /// Leads opened at or after (RFC 3339, or a day)
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Opened before
    #[arg(long)]
    pub(crate) to: Option<String>,
    /// opened, closed or converted: which date --from and --to are of [default: opened]
    #[arg(long)]
    pub(crate) date_origin: Option<String>,
    /// The zone of days [default: the policy's]
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Only leads with one of these values of a field; may be given several times
    #[arg(long = "where", value_name = "FIELD=VALUE,…")]
    pub(crate) only: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct SqlArgs {
    /// The query
    pub(crate) query: String,
    /// How the answer is written [default: table]
    #[arg(long, value_enum)]
    pub(crate) format: Option<SqlFormat>,
    /// The file to write to, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Ask the tables that `leadfold project analytics` keeps in this folder, as they were made durable last
    #[arg(long, value_name = "FOLDER")]
    pub(crate) tables: Option<PathBuf>,
    /// Seconds that it may take [default: 600]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Memory that it may take, in MiB; what needs more goes to temporary files [default: 512]
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<usize>,
    /// Rows that the answer may have [default: any number]
    #[arg(long, value_name = "N")]
    pub(crate) max_rows: Option<u64>,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SqlFormat {
    /// For people
    Table,
    /// Comma-separated values
    Csv,
    /// An array of objects
    Json,
    /// An object a line
    Ndjson,
    /// An Arrow stream
    Arrow,
    /// A Parquet file
    Parquet,
}
