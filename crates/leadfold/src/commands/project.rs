//! `leadfold project`: one read model in a process of its own, beside whoever holds the data.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use analytics::Analytics;
use anyhow::{Context, bail};
use event_log::{EventLog, LogPosition};
use key_vault::KeyVault;
use listing::Listing;
use projector::{Projection, Projector};
use rocks_store::GrowingLog;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli::ProjectArgs;
use crate::failure::UsageError;
use crate::folder::{self, LISTING, TABLES};
use crate::output::{json_line, line};
use crate::serve::watch_signals;
use crate::settings::Settings;

/// How long to wait for the log to grow before looking whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often what was followed is made durable where commits are not, so that other programs see it.
const SEAL_EVERY: Duration = Duration::from_secs(10);
/// How long to rest when the log can't be read, before it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

pub(crate) fn run(args: &ProjectArgs, settings: &Settings) -> anyhow::Result<()> {
    let name = match args.name.as_str() {
        Listing::NAME => Listing::NAME,
        Analytics::NAME => Analytics::NAME,
        other => bail!(UsageError(format!("there is no projection \"{other}\"; there are: listing, analytics"))),
    };
    let into = &args.into;
    fs::create_dir_all(into).with_context(|| format!("cannot make the folder {}", into.display()))?;
    if is_same(into, &settings.data) || into.join("log").is_dir() {
        bail!(UsageError(format!(
            "--into {} is a data folder, whose own models are kept by whoever holds it; name another folder",
            into.display()
        )));
    }
    let held = folder::lock(into);
    let _held = held.with_context(|| format!("cannot keep a read model in {}", into.display()))?;
    let log = Arc::new(folder::growing_log(settings)?);
    let vault = Arc::new(folder::vault_to_read(settings)?);
    let following = Following { log, vault, args, settings };
    if name == Listing::NAME {
        let model = if args.rebuild { Listing::begin_rebuild(into)? } else { Listing::open(into)? };
        return following.run(model, LISTING);
    }
    let model = if args.rebuild { Analytics::begin_rebuild(into)? } else { Analytics::open(into)? };
    following.run(model, TABLES)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.canonicalize().ok().zip(other.canonicalize().ok()).is_some_and(|(one, other)| one == other)
}

/// What a read model is kept with.
struct Following<'a> {
    log: Arc<GrowingLog>,
    vault: Arc<KeyVault>,
    args: &'a ProjectArgs,
    settings: &'a Settings,
}

impl Following<'_> {
    /// Brings the model to the end of the log, and goes on with it until a signal comes.
    fn run<P: Projection>(self, model: P, what: &'static str) -> anyhow::Result<()> {
        let started = Instant::now();
        let stopping = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.context("cannot wait for signals")?;
        let signals = runtime.block_on(async { watch_signals(stopping.clone()) })?;
        let log: Arc<dyn EventLog> = self.log.clone();
        let mut projector = Projector::new(log, Arc::clone(&self.vault), model).with_context(|| {
            let into = self.args.into.display();
            format!("cannot go on with the model in {into}; build it anew with --rebuild")
        })?;
        let before = projector.checkpoint();
        folder::catch_up(&mut projector, self.log.head().position, what)?;
        projector.seal()?;
        self.tell(&projector, (before, started))?;
        if !self.args.once {
            self.follow(&mut projector, &stopping)?;
        }
        signals.abort();
        Ok(())
    }

    fn follow<P: Projection>(&self, projector: &mut Projector<P>, stopping: &CancellationToken) -> anyhow::Result<()> {
        let mut sealed = Instant::now();
        let mut is_sealed = true;
        while !stopping.is_cancelled() {
            match self.log.renew() {
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "the log can't be read now; it is tried again");
                    std::thread::sleep(RETRY_AFTER);
                    continue;
                }
            }
            let before = projector.checkpoint();
            if projector.catch_up(self.log.head().position, &mut |_| {})? > before {
                is_sealed = false;
            }
            if !is_sealed && sealed.elapsed() >= SEAL_EVERY {
                projector.seal()?;
                (sealed, is_sealed) = (Instant::now(), true);
            }
            self.log.wait_beyond(projector.checkpoint(), LOOK_EVERY);
        }
        projector.seal()?;
        Ok(())
    }

    /// Says how far the model is.
    fn tell<P: Projection>(
        &self,
        projector: &Projector<P>,
        (before, started): (LogPosition, Instant),
    ) -> anyhow::Result<()> {
        let (name, position) = (projector.projection().name(), projector.checkpoint());
        let (seconds, records) = (started.elapsed().as_secs_f64(), position.0 - before.0.min(position.0));
        let parked = projector.parked().waiting();
        if parked > 0 {
            eprintln!("{parked} visitors are left out of projection {name}, because a record of theirs doesn't fit");
        }
        if self.settings.json {
            return json_line(&json!({
                "name": name, "position": position.0, "records": records, "seconds": seconds, "parked": parked,
            }));
        }
        let goes_on = if self.args.once { "" } else { "; it goes on until Ctrl-C" };
        line(format_args!("{name}: at position {position}, {records} records in {seconds:.1} s{goes_on}"))
    }
}
