//! The data folder: who holds it, and the parts in it.
//!
//! ```text
//! DIR/lock                 held by the process that has the folder open; names it
//! DIR/address              where the service that holds the folder can be reached
//! DIR/log/                 the log (RocksDB), with DIR/log-head beside it
//! DIR/tables/              what follows the log and can be rebuilt from it (RocksDB)
//! DIR/keys/                the keys that personal data is sealed with: not for backups of the log
//! DIR/checkpoint/          a copy of the log, while a backup is being made
//! DIR/projections/         read models, which can be rebuilt from the log; NAME.paused beside one that is paused
//! DIR/proofs/              hashes over the log's records, which can be computed again
//! ```

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use analytics::Analytics;
use anyhow::{Context, bail};
use engine::{Engine, Parts, Tenant};
use event_log::{LogPosition, MemoryTables};
use indicatif::ProgressBar;
use key_vault::{KeyVault, MasterKey};
use lead_domain::TenantId;
use listing::Listing;
use projector::{PauseMark, Projection, Projector};
use proofs::Notary;
use rocks_store::{GrowingLog, LogOptions, ReadOnlyLog, RocksLog, RocksTables, TablesOptions};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::failure::UsageError;
use crate::output::progress_bar;
use crate::serve::Address;
use crate::settings::Settings;

/// What follows from the log.
const DERIVED: [&str; 3] = ["tables", "projections", PROOFS];

/// The priority of a thread that others need not wait for.
const STEPPED_BACK: u8 = 23;

/// Behind the name of a folder that is only there to be removed.
const DISCARDED: &str = "discarded";

/// The copy of the log that a backup is taken from, for as long as that takes.
pub(crate) const CHECKPOINT: &str = "checkpoint";
/// What else goes into that backup.
pub(crate) const BESIDE_CHECKPOINT: &str = "checkpoint.beside";

/// Where read models of the past are built; each goes when it has been asked.
pub(crate) const PAST: &str = "past";

/// The file with the address of the service that holds the folder, as `Address` writes it.
const ADDRESS: &str = "address";

/// Where the tiles of the Merkle tree are.
pub(crate) const PROOFS: &str = "proofs";

/// Another process has the data folder open.
#[derive(Debug, thiserror::Error)]
pub(crate) struct FolderHeld {
    folder: PathBuf,
    holder: String,
    /// Where it can be reached, if it is a service.
    pub(crate) address: Option<String>,
}

impl fmt::Display for FolderHeld {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, holder, address } = self;
        write!(formatter, "open the data folder {}: {holder} holds it", folder.display())?;
        match address {
            None => write!(formatter, ". Wait until that has ended"),
            Some(url) => {
                write!(formatter, " and serves it at {url}. This needs the folder itself: stop the service first")
            }
        }
    }
}

/// Keeps a data folder from being opened by another process.
pub(crate) struct Held {
    _lock: File,
}

/// An open data folder. No other process can open it meanwhile.
pub(crate) struct Folder {
    pub(crate) engine: Engine,
    pub(crate) settings: Settings,
    _lock: File,
}

impl Folder {
    /// Opens the folder of the settings for what no service does.
    pub(crate) fn open_itself(settings: &Settings) -> anyhow::Result<Self> {
        refuse_server(settings)?;
        Self::open(settings)
    }

    /// Opens the folder of the settings, which must be there.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        if !settings.data.join("log").is_dir() {
            bail!(no_data(&settings.data));
        }
        Self::open_or_create(settings)
    }

    /// Opens the folder of the settings, or makes it.
    pub(crate) fn open_or_create(settings: &Settings) -> anyhow::Result<Self> {
        let folder = &settings.data;
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let lock = lock(folder)?;
        remove_discarded(folder)?;
        remove_checkpoint(folder)?;
        // What a killed process has left holds personal data that nobody would erase.
        remove_all(folder, &[PAST])?;
        let parts = open_parts(folder, settings.master_key()?)?;
        let mut bar: Option<ProgressBar> = None;
        let engine = Engine::open(parts, settings.engine_options(), &mut |position, head| {
            let bar = bar.get_or_insert_with(|| progress_bar(head.0, "replaying the log"));
            bar.set_position(position.0);
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let engine = engine.with_context(|| format!("cannot open the data folder {}", folder.display()))?;
        Ok(Self { engine, settings: settings.clone(), _lock: lock })
    }

    /// The number of the tenant that the command concerns.
    pub(crate) fn tenant(&self) -> anyhow::Result<TenantId> {
        self.whole_tenant().map(|tenant| tenant.id)
    }

    /// The tenant that the command concerns, with the policy in force.
    pub(crate) fn whole_tenant(&self) -> anyhow::Result<&Tenant> {
        if let Some(name) = &self.settings.tenant {
            return Ok(self.engine.tenant(name)?);
        }
        match self.engine.tenants() {
            [only] => Ok(only),
            [] => bail!(UsageError(
                "there is no tenant yet; adopt a policy first (`leadfold policy adopt FILE`)".to_owned()
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|tenant| tenant.name.as_str()).collect();
                bail!(UsageError(format!("there are several tenants ({}); name one with --tenant", names.join(", "))))
            }
        }
    }

    /// What signs heads of the log and makes bundles from it.
    pub(crate) fn notary(&self) -> anyhow::Result<Notary> {
        notary(&self.settings.data, self.engine.parts())
    }

    /// The listing's projector, not yet caught up.
    pub(crate) fn projector(&self) -> anyhow::Result<Projector<Listing>> {
        projector(&self.settings.data, self.engine.parts())
    }

    /// The listing, caught up with the log unless it is paused.
    pub(crate) fn listing(&self) -> anyhow::Result<Listing> {
        let mut projector = self.projector()?;
        self.follow(&mut projector, LISTING)?;
        Ok(projector.into_projection())
    }

    /// Brings a projection to the end of the log, unless it is paused. What was erased goes in any case.
    fn follow<P: Projection>(&self, projector: &mut Projector<P>, what: &'static str) -> anyhow::Result<()> {
        let (name, head) = (projector.projection().name(), self.engine.head().position);
        let erased = self.engine.erasures()?.last().map(|(position, _)| *position).unwrap_or_default();
        if self.pause(name).is_set() && erased <= projector.checkpoint() {
            let position = projector.checkpoint();
            eprintln!(
                "projection {name} is paused at position {position} of {head}; `leadfold projections resume {name}` lets \
                 it go on"
            );
            return Ok(());
        }
        catch_up(projector, head, what)?;
        let left_out = projector.parked().waiting();
        if left_out > 0 {
            eprintln!(
                "{left_out} visitors are left out of projection {name}, because a record of theirs doesn't fit: see \
                 `leadfold projections parked {name}`"
            );
        }
        Ok(())
    }

    /// Whether a projection is paused.
    pub(crate) fn pause(&self, projection: &str) -> PauseMark {
        PauseMark::of(&self.settings.data, projection)
    }

    /// The analytics tables' projector, not yet caught up.
    pub(crate) fn analytics_projector(&self) -> anyhow::Result<Projector<Analytics>> {
        let parts = self.engine.parts();
        let tables = Analytics::open(&self.settings.data)?;
        Ok(Projector::new(parts.log.clone(), parts.vault.clone(), tables)?)
    }

    /// The analytics tables, caught up with the log unless they are paused, and durable.
    pub(crate) fn analytics(&self) -> anyhow::Result<Analytics> {
        let mut projector = self.analytics_projector()?;
        self.follow(&mut projector, TABLES)?;
        projector.seal()?;
        Ok(projector.into_projection())
    }

    /// Brings everything that holds opened personal data behind the last erasure.
    pub(crate) fn clean(&self) -> anyhow::Result<()> {
        self.listing()?;
        // Tables that nobody ever asked for hold nothing.
        if Analytics::is_in(&self.settings.data) {
            self.analytics()?;
        }
        Ok(())
    }

    /// Hands the engine over, and what keeps the folder held.
    pub(crate) fn release(self) -> (Engine, Held) {
        (self.engine, Held { _lock: self._lock })
    }

    /// Closes the folder: the next opening replays nothing.
    pub(crate) fn close(mut self) -> anyhow::Result<()> {
        self.settle()
    }

    /// Does what closing does, without closing.
    pub(crate) fn settle(&mut self) -> anyhow::Result<()> {
        self.engine.settle().context("cannot bring the tables up to date; nothing recorded is lost")
    }

    /// The same while other threads do what takes longer: it takes less of the processors than they do.
    pub(crate) fn settle_beside(&mut self) -> anyhow::Result<()> {
        let settled = std::thread::scope(|scope| {
            let settling = scope.spawn(|| {
                step_back();
                self.settle()
            });
            settling.join()
        });
        settled.unwrap_or_else(|_| bail!("cannot bring the tables up to date; nothing recorded is lost"))
    }
}

/// The log of the folder as it stands, for who only reads: also while a service holds the folder, which goes on.
pub(crate) fn log_to_read(settings: &Settings) -> anyhow::Result<ReadOnlyLog> {
    let log = ReadOnlyLog::open(&log_beside(settings)?, &LogOptions::default());
    log.with_context(|| format!("cannot open the data folder {}", settings.data.display()))
}

/// The log of the folder as it grows, for who only reads.
pub(crate) fn growing_log(settings: &Settings) -> anyhow::Result<GrowingLog> {
    let log = GrowingLog::open(&log_beside(settings)?, LogOptions::default());
    log.with_context(|| format!("cannot open the data folder {}", settings.data.display()))
}

/// Where the log is, for who reads it beside a service that may be there, and gives way to it.
fn log_beside(settings: &Settings) -> anyhow::Result<PathBuf> {
    refuse_server(settings)?;
    let folder = &settings.data;
    if !folder.join("log").is_dir() {
        bail!(no_data(folder));
    }
    if folder.join(ADDRESS).exists() {
        give_way();
    }
    Ok(folder.join("log"))
}

/// The keys of the folder, for who only reads.
pub(crate) fn vault_to_read(settings: &Settings) -> anyhow::Result<KeyVault> {
    open_vault(&settings.data.join("keys"), settings.master_key()?)
}

/// Lets this program, with all threads that it starts from here on, have only the processor time that nobody else wants: a
/// service works on the same data, and people wait for it. Where the system refuses, it goes on as it is.
fn give_way() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    let priority = ThreadPriority::Min;
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        tracing::debug!(?error, "the system doesn't let this program give way to the service");
    }
}

/// Lets this thread have about a tenth of a processor that another thread wants too (a niceness of 10). Where the system
/// refuses, it goes on as it is.
fn step_back() {
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Other);
    // Of 0 to 99, which stand for a niceness of 19 to -20.
    let Ok(priority) = ThreadPriorityValue::try_from(STEPPED_BACK) else { return };
    let priority = ThreadPriority::Crossplatform(priority);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        tracing::debug!(?error, "the system doesn't let a thread step back");
    }
}

/// Log and keys of the folder, for who only reads. The tables are empty ones.
pub(crate) fn parts_to_read(settings: &Settings) -> anyhow::Result<Parts> {
    let log = Arc::new(log_to_read(settings)?);
    Ok(Parts { log, tables: Arc::new(MemoryTables::new()), vault: Arc::new(vault_to_read(settings)?) })
}

/// What signs heads of the log in a data folder.
pub(crate) fn notary(folder: &Path, parts: &Parts) -> anyhow::Result<Notary> {
    let notary = Notary::open(parts.log.clone(), &folder.join(PROOFS), &parts.vault.signing_seed());
    notary.with_context(|| format!("cannot open the proofs in {}", folder.display()))
}

/// Opens the listing in a data folder, to be driven along the log.
pub(crate) fn projector(folder: &Path, parts: &Parts) -> anyhow::Result<Projector<Listing>> {
    let listing = Listing::open(folder)?;
    Ok(Projector::new(parts.log.clone(), parts.vault.clone(), listing)?)
}

/// What the listing's progress bar says.
pub(crate) const LISTING: &str = "listing the leads";
/// And that of the analytics tables.
pub(crate) const TABLES: &str = "filling the analytics tables";

/// Brings a projection to `head`, with a progress bar that says `what` when that takes long.
pub(crate) fn catch_up<P: Projection>(
    projector: &mut Projector<P>,
    head: LogPosition,
    what: &'static str,
) -> anyhow::Result<()> {
    let start = projector.checkpoint().0;
    let bar = progress_bar(head.0.saturating_sub(start), what);
    let caught_up = projector.catch_up(head, &mut |position| bar.set_position(position.0.saturating_sub(start)));
    bar.finish_and_clear();
    caught_up?;
    Ok(())
}

/// Removes what can be rebuilt from the log: tables and read models.
pub(crate) fn discard_derived(settings: &Settings) -> anyhow::Result<()> {
    refuse_server(settings)?;
    let folder = &settings.data;
    if !folder.join("log").is_dir() {
        bail!(no_data(folder));
    }
    let _lock = lock(folder)?;
    remove_discarded(folder)?;
    for name in DERIVED {
        let path = folder.join(name);
        match fs::rename(&path, folder.join(name).with_extension(DISCARDED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot discard {}", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    remove_discarded(folder)
}

/// Removes what was put aside to be removed. A crash on the way leaves some of it, which nobody mistakes for data.
fn remove_discarded(folder: &Path) -> anyhow::Result<()> {
    for name in DERIVED {
        let path = folder.join(name).with_extension(DISCARDED);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Removes the copy of the log that a backup was taken from: it would keep files that the log no longer needs.
pub(crate) fn remove_checkpoint(folder: &Path) -> anyhow::Result<()> {
    remove_all(folder, &[CHECKPOINT, BESIDE_CHECKPOINT])
}

fn remove_all(folder: &Path, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        let path = folder.join(name);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// What needs the folder itself must not take another one than the caller may mean.
pub(crate) fn refuse_server(settings: &Settings) -> Result<(), UsageError> {
    let Some(server) = &settings.server else { return Ok(()) };
    Err(UsageError(format!(
        "this needs the data folder itself, which the service at {server} has; leave --server out (LEADFOLD_SERVER, or \
         server in the configuration file), stop the service, and run it where the folder is"
    )))
}

fn no_data(folder: &Path) -> UsageError {
    let folder = folder.display();
    UsageError(format!(
        "there is no data in {folder} yet; adopt a policy first (`leadfold policy adopt FILE`), or name another folder \
         with --data"
    ))
}

pub(crate) fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The number is for people; the lock alone counts.
            let _ = file.read_to_string(&mut holder);
            let holder = holder.trim();
            let holder = if holder.is_empty() { "another process".to_owned() } else { format!("process {holder}") };
            bail!(FolderHeld { folder: folder.to_owned(), holder, address: Address::read(folder) });
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("cannot lock {}", path.display()));
        }
    }
    file.set_len(0)
        .and_then(|()| write!(file, "{}", std::process::id()))
        .with_context(|| format!("cannot write {}", path.display()))?;
    // Left by a service that was killed; it would lead to whoever listens there by now.
    let _ = fs::remove_file(folder.join(ADDRESS));
    Ok(file)
}

fn open_parts(folder: &Path, master: Option<MasterKey>) -> anyhow::Result<Parts> {
    let at = |name: &str| -> PathBuf { folder.join(name) };
    let context = || format!("cannot open the data folder {}", folder.display());
    let vault = open_vault(&at("keys"), master)?;
    let log = RocksLog::open(&at("log"), &LogOptions::default()).with_context(context)?;
    let tables = RocksTables::open(&at("tables"), &TablesOptions::default()).with_context(context)?;
    Ok(Parts { log: Arc::new(log), tables: Arc::new(tables), vault: Arc::new(vault) })
}

fn open_vault(keys: &Path, master: Option<MasterKey>) -> anyhow::Result<KeyVault> {
    let master = match master {
        Some(master) => master,
        None => {
            MasterKey::in_folder(keys).with_context(|| format!("cannot use the master key in {}", keys.display()))?
        }
    };
    KeyVault::open(keys, master).with_context(|| format!("cannot open the keys in {}", keys.display()))
}
