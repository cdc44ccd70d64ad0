//! `leadfold import`: decode, decide and write side by side, with the listing following. To a service, events are sent.

mod sent;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, bail};
use engine::{Clock, Counts, EngineError, FreshBatch, Parts, Tenant};
use feed::{ClockCorrection, Entry, FileSource, InteractionDecoder, Limits, Mapping, Progress, Reception};
use indicatif::ProgressBar;
use lead_domain::{TenantId, Time};
use listing::Listing;
use projector::Projector;
use serde::Serialize;

use crate::cli::ImportArgs;
use crate::commands::rescoring;
use crate::failure::UsageError;
use crate::folder::{self, Folder};
use crate::output::{bytes_bar, json_line, line};
use crate::settings::Settings;
use crate::source::Source;

/// Decoded chunks that may wait for the decider: enough to keep it busy, some 10 MiB.
const CHUNKS_QUEUED_MAX: usize = 2;
/// About how long an event is, plain and compressed.
const BYTES_PER_RECORD: u64 = 400;
const PACKED_BYTES_PER_RECORD: u64 = 50;
/// Appends that may wait for the listing, at up to 4 MiB each, before the writer waits for it.
const APPENDS_QUEUED_MAX: usize = 2;

/// After how many records the tables are brought up to date, twice as seldom as otherwise, for 100 MiB of memory: at the end
/// nothing else waits for it. An import that is cut off leaves as much to be replayed, in some seconds.
const WRITE_BACK_RECORDS: u64 = 1 << 21;
/// With more records than these to come, by the length of their files, that would save nothing.
const FEW_RECORDS: u64 = WRITE_BACK_RECORDS / 4 * 5;

/// What an import came to, as it is printed.
#[derive(Debug, Default, Serialize)]
struct Summary {
    read: u64,
    recorded: u64,
    duplicates: u64,
    conflicting: u64,
    quarantined: u64,
    /// Not collected, because an identifier is suppressed.
    suppressed: u64,
    leads_opened: u64,
    leads_converted: u64,
    leads_closed: u64,
    /// `None` where a service's key may not read leads, or they are several tenants'.
    leads_open: Option<u64>,
    orphans: u64,
    position: u64,
    seconds: f64,
}

pub(crate) fn run(args: &ImportArgs, settings: &Settings) -> anyhow::Result<()> {
    let mapping = args.mapping.as_deref().map(read_mapping).transpose()?;
    let mut settings = settings.clone();
    if (1..=FEW_RECORDS).contains(&expected_records(&args.files)) {
        settings.write_back_records.get_or_insert(WRITE_BACK_RECORDS);
    }
    let summary = match Source::open(&settings)? {
        Source::Folder(folder) => into_folder(*folder, args, mapping)?,
        Source::Server(_) if mapping.is_some() => bail!(UsageError(
            "a table with a mapping can't be sent to a running service; stop the service and import it into the folder"
                .to_owned()
        )),
        Source::Server(server) => sent::send(&server, args)?,
    };
    if settings.json { json_line(&summary) } else { print(&summary) }
}

fn into_folder(mut folder: Folder, args: &ImportArgs, mapping: Option<Mapping>) -> anyhow::Result<Summary> {
    let default = default_tenant(&folder)?;
    let started = Instant::now();
    let is_paused = folder.pause(Listing::NAME).is_set();
    let listing = (!is_paused).then(|| Follower::start(&folder, expected_records(&args.files))).transpose()?;
    // An earlier command may have been cut off.
    let imported = rescoring::finish(&mut folder).and_then(|()| import(&mut folder, args, mapping, default));
    // Whatever was decided becomes durable, also when a file breaks off in the middle.
    let flushed = folder.engine.flush().and_then(|()| folder.engine.unfollow());
    // Beside the listing, which has its indexes to make.
    let settled = if flushed.is_ok() { folder.settle_beside() } else { Ok(()) };
    let followed = listing.map_or_else(|| folder.listing(), Follower::finish);
    match (flushed, imported) {
        // The writer gives its reason once, to whoever met it first.
        (Err(EngineError::WriterStopped), Err(reason)) => return Err(reason),
        (flushed, imported) => {
            flushed?;
            imported?;
            settled?;
        }
    }
    let followed =
        followed.context("cannot list the leads (what was recorded is safe, and the next command lists it)")?;
    // One that is paused doesn't know.
    let open = (!is_paused).then(|| open_leads(&folder, &followed)).transpose()?;
    drop(followed);
    if folder.engine.counts().erased > 0 {
        folder.clean().context("people are erased from the log, but not yet from what was built with it")?;
    }
    let summary = summary(folder.engine.counts(), open, folder.engine.head().position.0, started);
    folder.close()?;
    Ok(summary)
}

/// The tenant whose events may leave their tenant out: the one that was named, or the only one.
fn default_tenant(folder: &Folder) -> anyhow::Result<Option<TenantId>> {
    if folder.settings.tenant.is_none() && folder.engine.tenants().len() > 1 {
        return Ok(None);
    }
    folder.tenant().map(Some)
}

/// How many leads are open, of all tenants.
fn open_leads(folder: &Folder, listing: &Listing) -> anyhow::Result<u64> {
    let reader = listing.reader()?;
    let mut open = 0;
    for tenant in folder.engine.tenants() {
        open += reader.counts(tenant.id)?.0.open;
    }
    Ok(open)
}

/// A decoder with the policies in force.
pub(crate) fn decoder(folder: &Folder, default: Option<TenantId>) -> InteractionDecoder {
    let tenants = folder.engine.tenants().iter().map(Tenant::rules).collect();
    InteractionDecoder::new(tenants, default, folder.engine.hash_key(), Limits::default())
}

fn read_mapping(path: &Path) -> anyhow::Result<Mapping> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the mapping {}", path.display()))?;
    Mapping::parse(&text).map_err(|error| UsageError(format!("the mapping {}: {error}", path.display())).into())
}

/// Records all files and then ticks once for each tenant, with the latest time that was read of it.
fn import(
    folder: &mut Folder,
    args: &ImportArgs,
    mapping: Option<Mapping>,
    default: Option<TenantId>,
) -> anyhow::Result<()> {
    let mut latest: BTreeMap<TenantId, Time> = BTreeMap::new();
    for file in &args.files {
        check(file)?;
        let source = FileSource::open(file, mapping.clone())?;
        let bar = bytes_bar(source.progress().bytes_total, "importing");
        // Several tenants may share a file; with --tenant all of it must be that one's.
        let only = default.filter(|_| folder.settings.tenant.is_some());
        let task = DecodeTask { source, decoder: decoder(folder, default), only, clock: folder.settings.clock };
        let (decoded, thread) = task.start();
        let recorded = record(folder, decoded, &bar, &mut latest);
        bar.finish_and_clear();
        if thread.join().is_err() {
            bail!("cannot decode {}: the decoder stopped unexpectedly", file.display());
        }
        recorded?;
    }
    for (tenant, at) in latest {
        folder.engine.tick(tenant, at)?;
        folder.engine.finish_retention(tenant)?;
    }
    Ok(())
}

/// Checks a compressed file before anything of it is recorded.
fn check(file: &Path) -> anyhow::Result<()> {
    let bar = bytes_bar(None, "checking");
    let checked = FileSource::check(file, &mut |progress| {
        bar.set_length(progress.bytes_total.unwrap_or_default());
        bar.set_position(progress.bytes_read);
    });
    bar.finish_and_clear();
    Ok(checked?)
}

type Decoded = anyhow::Result<(Vec<Entry>, Progress)>;

fn record(
    folder: &mut Folder,
    decoded: Receiver<Decoded>,
    bar: &ProgressBar,
    latest: &mut BTreeMap<TenantId, Time>,
) -> anyhow::Result<()> {
    for chunk in decoded {
        let (entries, progress) = chunk?;
        for entry in &entries {
            if let Entry::Interaction(entry) = entry {
                let latest = latest.entry(entry.tenant).or_insert(Time::MIN);
                *latest = entry.occurred_at.max(*latest);
            }
        }
        folder.engine.submit(entries, None)?;
        bar.set_position(progress.bytes_read);
    }
    Ok(())
}

/// Reads and decodes one file on a thread of its own.
struct DecodeTask {
    source: FileSource,
    decoder: InteractionDecoder,
    only: Option<TenantId>,
    clock: Clock,
}

impl DecodeTask {
    fn start(self) -> (Receiver<Decoded>, JoinHandle<()>) {
        let (sender, receiver) = sync_channel(CHUNKS_QUEUED_MAX);
        (receiver, std::thread::spawn(move || self.run(&sender)))
    }

    fn run(mut self, decoded: &SyncSender<Decoded>) {
        loop {
            let next = self.next();
            let last = !matches!(next, Ok(Some(_)));
            // Nobody listens any more when recording has failed.
            let sent = next.transpose().map_or(Ok(()), |next| decoded.send(next));
            if last || sent.is_err() {
                return;
            }
        }
    }

    fn next(&mut self) -> anyhow::Result<Option<(Vec<Entry>, Progress)>> {
        let Some(chunk) = self.source.next_chunk()? else { return Ok(None) };
        let reception = Reception { tenant: self.only, clock: ClockCorrection::History, received_at: self.clock.now() };
        let mut entries = Vec::new();
        chunk.decode(&mut self.decoder, reception, &mut entries)?;
        self.source.recycle(chunk);
        Ok(Some((entries, self.source.progress())))
    }
}

/// The listing, following the import on a thread of its own.
struct Follower {
    thread: JoinHandle<anyhow::Result<Listing>>,
}

impl Follower {
    /// Follows everything that the engine records from here on.
    fn start(folder: &Folder, expected: u64) -> anyhow::Result<Self> {
        let fresh = folder.engine.follow(APPENDS_QUEUED_MAX)?;
        let (data, parts) = (folder.settings.data.clone(), folder.engine.parts().clone());
        Ok(Self { thread: std::thread::spawn(move || follow(&data, &parts, &fresh, expected)) })
    }

    /// Catches up with the whole log. The engine must have stopped handing records over.
    fn finish(self) -> anyhow::Result<Listing> {
        match self.thread.join() {
            Ok(listing) => listing,
            Err(_) => bail!("cannot list the leads: the listing stopped unexpectedly. What was recorded is safe"),
        }
    }
}

/// About how many records the files will give: the listing puts its indexes off when there are many.
fn expected_records(files: &[PathBuf]) -> u64 {
    let records = |file: &PathBuf| {
        let bytes = std::fs::metadata(file).map_or(0, |about| about.len());
        let packed = file.extension().is_some_and(|extension| extension == "gz" || extension == "zst");
        bytes / if packed { PACKED_BYTES_PER_RECORD } else { BYTES_PER_RECORD }
    };
    files.iter().map(records).sum()
}

fn follow(data: &Path, parts: &Parts, fresh: &Receiver<Vec<FreshBatch>>, expected: u64) -> anyhow::Result<Listing> {
    let mut projector: Projector<Listing> = folder::projector(data, parts)?;
    projector.expect(expected)?;
    for batches in fresh {
        service::take_fresh(&mut projector, &batches)?;
    }
    folder::catch_up(&mut projector, parts.log.head().position, folder::LISTING)?;
    Ok(projector.into_projection())
}

fn summary(counts: Counts, leads_open: Option<u64>, position: u64, started: Instant) -> Summary {
    Summary {
        read: counts.read,
        recorded: counts.recorded,
        duplicates: counts.duplicates,
        conflicting: counts.conflicting,
        quarantined: counts.quarantined,
        suppressed: counts.suppressed,
        leads_opened: counts.opened,
        leads_converted: counts.converted,
        leads_closed: counts.closed,
        leads_open,
        orphans: counts.orphans,
        position,
        seconds: started.elapsed().as_secs_f64(),
    }
}

fn print(summary: &Summary) -> anyhow::Result<()> {
    let rate = summary.read as f64 / summary.seconds.max(0.001);
    let rows = [
        ("read", Some(summary.read)),
        ("recorded", Some(summary.recorded)),
        ("duplicates", Some(summary.duplicates)),
        ("conflicting", Some(summary.conflicting)),
        ("quarantined", Some(summary.quarantined)),
        ("suppressed", Some(summary.suppressed).filter(|suppressed| *suppressed > 0)),
        ("leads opened", Some(summary.leads_opened)),
        ("leads converted", Some(summary.leads_converted)),
        ("leads closed", Some(summary.leads_closed)),
        ("leads open now", summary.leads_open),
        ("orphans", Some(summary.orphans)),
    ];
    for (name, number) in rows {
        let Some(number) = number else { continue };
        line(format_args!("{name:<16} {number:>12}"))?;
    }
    line(format_args!(
        "in {:.1} s, {rate:.0} a second; the log stands at position {}",
        summary.seconds, summary.position
    ))?;
    if summary.quarantined > 0 {
        line("see `leadfold quarantine` for what could not be taken, and why")?;
    }
    Ok(())
}
