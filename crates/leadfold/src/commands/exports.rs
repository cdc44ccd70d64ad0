//! `leadfold export …`: everything of a kind, at one position, to a file or to standard output.

use std::fs::{self, File};
use std::io::{BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use analytics::{Format, Output, QueryLimits, Session, Table};
use anyhow::{Context, bail};
use event_log::LogPosition;
use http_api::LeadWriter;
use lead_domain::TenantId;
use listing::Told;

use crate::cli::{ExportCommand, ExportFormat, ExportTo, LeadsWanted};
use crate::commands::leads;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::remote::{Call, Server, Streamed};
use crate::serve::query_limits;
use crate::settings::Settings;
use crate::source::Source;

/// A day: nobody waits longer for a file.
const TIME_MAX: Duration = Duration::from_secs(86_400);

pub(crate) fn run(what: &ExportCommand, settings: &Settings) -> anyhow::Result<()> {
    let (to, table) = match what {
        ExportCommand::Leads { to, .. } => (to, None),
        ExportCommand::Interactions(to) => (to, Some(Table::Interactions)),
        ExportCommand::Events(to) => (to, Some(Table::LeadEvents)),
        ExportCommand::Score(to) => (to, Some(Table::ScoreRows)),
    };
    let is_binary = to.format == ExportFormat::Parquet;
    if is_binary && to.out.is_none() && std::io::stdout().is_terminal() {
        bail!(UsageError("this format is no text; name a file with --out".to_owned()));
    }
    let source = Source::open(settings)?;
    let mut out = Destination::open(to.out.as_deref())?;
    let written = match (&source, what, table) {
        (Source::Server(server), _, _) => of_server(server, what, to, &mut out.to)?,
        (Source::Folder(folder), _, Some(table)) => table_of_folder(folder, table, to, &mut out.to)?,
        (Source::Folder(folder), ExportCommand::Leads { wanted, .. }, None) => {
            leads_of_folder(folder, wanted, to, &mut out.to)?
        }
        (Source::Folder(_), _, None) => bail!(UsageError("there is no such export".to_owned())),
    };
    out.finish()?;
    let Streamed { position, rows } = written;
    eprintln!("{rows} rows, true at position {position}");
    source.close()
}

/// Where rows go. A file gets its name when all of them are in it.
struct Destination {
    to: Box<dyn Write + Send>,
    file: Option<(PathBuf, PathBuf)>,
}

impl Destination {
    fn open(out: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = out else {
            return Ok(Self { to: Box::new(BufWriter::new(std::io::stdout())), file: None });
        };
        let mut name = path.as_os_str().to_owned();
        name.push(".part");
        let part = PathBuf::from(name);
        let file = File::create(&part).with_context(|| format!("cannot write {}", part.display()))?;
        Ok(Self { to: Box::new(BufWriter::new(file)), file: Some((part, path.to_owned())) })
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.to.flush()?;
        let Some((part, path)) = self.file.take() else { return Ok(()) };
        fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.file {
            // What was cut off is of no use.
            let _ = fs::remove_file(part);
        }
    }
}

impl ExportFormat {
    const fn written(self) -> Format {
        match self {
            Self::Ndjson => Format::Ndjson,
            Self::Csv => Format::Csv,
            Self::Parquet => Format::Parquet,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

fn leads_of_folder(
    folder: &Folder,
    wanted: &LeadsWanted,
    to: &ExportTo,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Streamed> {
    let query = leads::query(folder.tenant()?, wanted)?;
    let reader = folder.listing()?.reader()?;
    let mut writer = LeadWriter::new(to.format.written(), out)?;
    let (mut rows, mut failed) = (0, None);
    let seen = reader.each_lead(&query, &mut |told| {
        let Told::Lead(lead) = told else { return ControlFlow::Continue(()) };
        rows += 1;
        match writer.push(&lead) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    if let Some(error) = failed {
        return Err(error.into());
    }
    let (position, _) = seen.map_err(leads::query_error)?;
    writer.finish(position)?;
    Ok(Streamed { position: position.0, rows })
}

fn table_of_folder(
    folder: &Folder,
    table: Table,
    to: &ExportTo,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Streamed> {
    let tenant = folder.whole_tenant()?.name.to_string();
    let tables = folder.analytics()?;
    let snapshot = tables.reader().snapshot();
    let position: LogPosition = snapshot.position();
    let limits = QueryLimits { time: TIME_MAX, rows: u64::MAX, threads: 1, ..query_limits(&folder.settings.data) };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the threads of the export")?;
    runtime.block_on(async {
        let (rows, mut answer) = Session::new(snapshot, &tenant, limits)?.whole(table).await?;
        let mut output = Output::new(to.format.written(), answer.schema(), out)?;
        while let Some(batch) = answer.next().await? {
            output.write(&batch)?;
        }
        output.finish_at(position)?;
        Ok(Streamed { position: position.0, rows })
    })
}

fn of_server(
    server: &Server,
    what: &ExportCommand,
    to: &ExportTo,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Streamed> {
    let (name, filters) = match what {
        ExportCommand::Leads { wanted, .. } => {
            // What makes no sense is told in the words of the flags.
            leads::query(TenantId(0), wanted)?;
            ("leads", leads::filters(wanted)?)
        }
        ExportCommand::Interactions(_) => ("interactions", Vec::new()),
        ExportCommand::Events(_) => ("events", Vec::new()),
        ExportCommand::Score(_) => ("score", Vec::new()),
    };
    let mut call = Call::get(format!("/v1/export/{name}")).query("format", to.format.name());
    for (name, value) in filters {
        call = call.query(name, value);
    }
    server.stream(call, out)
}
