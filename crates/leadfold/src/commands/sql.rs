//! `leadfold sql`: one query over the analytics tables, as a table for people or in a format for programs.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use analytics::{AnalyticsReader, Format, Output, QueryError, QueryLimits, Session, Shown, Snapshot};
use anyhow::{Context, bail};

use crate::cli::{SqlArgs, SqlFormat};
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::output::table;
use crate::remote::{Call, Server, UNREADABLE};
use crate::serve::query_limits;
use crate::settings::Settings;
use crate::source::Source;

pub(crate) fn run(args: &SqlArgs, settings: &Settings) -> anyhow::Result<()> {
    let format = args.format.unwrap_or(if settings.json { SqlFormat::Ndjson } else { SqlFormat::Table });
    let format = match format {
        SqlFormat::Table if args.output.is_some() => {
            bail!(UsageError("--output needs a --format: csv, json, ndjson, arrow or parquet".to_owned()))
        }
        SqlFormat::Table => None,
        SqlFormat::Csv => Some(Format::Csv),
        SqlFormat::Json => Some(Format::Json),
        SqlFormat::Ndjson => Some(Format::Ndjson),
        SqlFormat::Arrow => Some(Format::Arrow),
        SqlFormat::Parquet => Some(Format::Parquet),
    };
    let binary = matches!(format, Some(Format::Arrow | Format::Parquet));
    if binary && args.output.is_none() && std::io::stdout().is_terminal() {
        bail!(UsageError("this format is no text; name a file with --output".to_owned()));
    }
    if let Some(tables) = &args.tables {
        return ask_tables(tables, args, format, settings);
    }
    let source = Source::open(settings)?;
    match &source {
        Source::Folder(folder) => ask_folder(folder, args, format)?,
        Source::Server(server) => ask_server(server, args, format)?,
    }
    source.close()
}

/// Where the answer goes: a file, or standard output.
fn destination(output: Option<&Path>) -> anyhow::Result<Box<dyn Write + Send>> {
    Ok(match output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(BufWriter::new(std::io::stdout())),
    })
}

fn ask_folder(folder: &Folder, args: &SqlArgs, format: Option<Format>) -> anyhow::Result<()> {
    let tenant = folder.tenant()?;
    let tenants = folder.engine.tenants();
    let name = tenants.iter().find(|it| it.id == tenant).map(|it| it.name.to_string()).unwrap_or_default();
    let tables = folder.analytics()?;
    ask(tables.reader().snapshot(), &name, query_limits(&folder.settings.data), args, format)
}

/// Asks tables that another process keeps.
fn ask_tables(tables: &Path, args: &SqlArgs, format: Option<Format>, settings: &Settings) -> anyhow::Result<()> {
    let (reader, tenants) = AnalyticsReader::open(tables)?;
    let name = match (&settings.tenant, tenants.as_slice()) {
        (Some(name), _) if tenants.contains(name) => name,
        (Some(name), _) => bail!(UsageError(format!("there is no tenant \"{name}\" in {}", tables.display()))),
        (None, [only]) => only,
        (None, []) => bail!(UsageError(format!(
            "there are no analytics tables in {}; `leadfold project analytics --into` makes some",
            tables.display()
        ))),
        (None, several) => {
            bail!(UsageError(format!("there are several tenants ({}); name one with --tenant", several.join(", "))))
        }
    };
    ask(reader.snapshot(), name, QueryLimits::default(), args, format)
}

fn ask(
    snapshot: Arc<Snapshot>,
    tenant: &str,
    defaults: QueryLimits,
    args: &SqlArgs,
    format: Option<Format>,
) -> anyhow::Result<()> {
    let limits = QueryLimits {
        time: args.timeout.map_or(Duration::from_secs(600), Duration::from_secs),
        memory: args.memory.map_or(defaults.memory, |mebibytes| mebibytes.saturating_mul(1 << 20)),
        rows: args.max_rows.unwrap_or(u64::MAX),
        ..defaults
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the query")?;
    runtime.block_on(async {
        let session = Session::new(Arc::clone(&snapshot), tenant, limits).map_err(wrong_query)?;
        let mut answer = session.query(&args.query).await.map_err(wrong_query)?;
        let Some(format) = format else {
            let mut shown = Shown::new(&answer.schema());
            while let Some(batch) = answer.next().await.map_err(wrong_query)? {
                shown.push(&batch)?;
            }
            return print(shown);
        };
        let mut output = Output::new(format, answer.schema(), destination(args.output.as_deref())?)?;
        while let Some(batch) = answer.next().await.map_err(wrong_query)? {
            output.write(&batch)?;
        }
        Ok(output.finish()?.flush()?)
    })
}

fn ask_server(server: &Server, args: &SqlArgs, format: Option<Format>) -> anyhow::Result<()> {
    if args.timeout.is_some() || args.memory.is_some() || args.max_rows.is_some() {
        bail!(UsageError(
            "a running service has limits of its own; leave --timeout, --memory and --max-rows out".to_owned()
        ));
    }
    let name = match format {
        None | Some(Format::Arrow) => "arrow",
        Some(Format::Csv) => "csv",
        Some(Format::Json) => "json",
        Some(Format::Ndjson) => "ndjson",
        Some(Format::Parquet) => "parquet",
    };
    let answer = server.listed(Call::sql(&args.query, name))?;
    if format.is_none() {
        return print(Shown::of_stream(&answer.body).context(UNREADABLE)?);
    }
    let mut out = destination(args.output.as_deref())?;
    out.write_all(&answer.body)?;
    Ok(out.flush()?)
}

fn print(shown: Shown) -> anyhow::Result<()> {
    let names: Vec<&str> = shown.names.iter().map(String::as_str).collect();
    table(&names, shown.rows)
}

/// A query that makes no sense is wrong usage; one that is too large is not.
fn wrong_query(error: QueryError) -> anyhow::Error {
    match &error {
        QueryError::Syntax { .. } | QueryError::Refused { .. } | QueryError::Invalid { .. } => {
            UsageError(format!("cannot {error}")).into()
        }
        QueryError::TooLong { .. }
        | QueryError::TooMuchMemory
        | QueryError::TooManyRows { .. }
        | QueryError::TooManyGroups { .. }
        | QueryError::TooManyUnits { .. }
        | QueryError::Tables(_)
        | QueryError::Failed { .. } => error.into(),
    }
}
