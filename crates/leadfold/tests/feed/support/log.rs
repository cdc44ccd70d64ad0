//! What a log holds, read without the program.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result};
use event_log::{EventLog, LogPosition, Record};
use key_vault::{KeySlot, KeyVault, MasterKey};
use proto_events::stored::{self, kind};
use rocks_store::{LogOptions, RocksLog};

use crate::support::site::Site;

/// One record, as far as the tests look at it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) position: u64,
    pub(crate) feed_sequence: u64,
    /// See [`kind`].
    pub(crate) kind: u8,
    /// Of an interaction: CloudEvents source and id.
    pub(crate) id: Option<(String, String)>,
    /// How many events were decided.
    pub(crate) events: usize,
}

impl Entry {
    /// Whether it holds an input of the feed.
    pub(crate) const fn is_input(&self) -> bool {
        matches!(
            self.kind,
            kind::INTERACTION
                | kind::COMMAND
                | kind::QUARANTINED
                | kind::CONFLICT
                | kind::KEYED_COMMAND
                | kind::KEYED_POLICY
                | kind::KEYED_RELEASE
                | kind::DISCREDIT
        )
    }
}

impl Site {
    /// All records, in order. Reads a copy, so that the program finds its log as it has left it.
    pub(crate) fn log(&self) -> Result<Vec<Entry>> {
        let copy = tempfile::tempdir()?;
        for name in ["log", "keys"] {
            nats_testbed::copy_folder(&self.path("data").join(name), &copy.path().join(name))?;
        }
        std::fs::copy(self.path("data/log-head"), copy.path().join("log-head"))?;
        read(copy.path(), MasterKey::from_hex(std::fs::read_to_string(self.path("master.key"))?.trim())?)
    }
}

fn read(folder: &Path, master: MasterKey) -> Result<Vec<Entry>> {
    let vault = KeyVault::open(&folder.join("keys"), master)?;
    let log = RocksLog::open_existing(&folder.join("log"), &LogOptions::default())?;
    let mut entries = Vec::new();
    let mut fault = None;
    log.read(LogPosition(1), &mut |record| match entry(&record, &vault) {
        Ok(entry) => {
            entries.push(entry);
            ControlFlow::Continue(())
        }
        Err(error) => {
            fault = Some(error);
            ControlFlow::Break(())
        }
    })?;
    fault.map_or(Ok(entries), Err)
}

fn entry(record: &Record<'_>, vault: &KeyVault) -> Result<Entry> {
    let header = &record.header;
    let facts = stored::decode_facts(header.codec, record.facts)?;
    let is_interaction = header.kind.0 == kind::INTERACTION;
    let id = if is_interaction { Some(id(record, vault)?) } else { None };
    let (position, feed_sequence) = (header.position.0, header.feed_sequence);
    Ok(Entry { position, feed_sequence, kind: header.kind.0, id, events: facts.events.len() })
}

fn id(record: &Record<'_>, vault: &KeyVault) -> Result<(String, String)> {
    let KeySlot::Live(key) = vault.get(record.header.key)? else { anyhow::bail!("the visitor's key is gone") };
    let opened = key.open(&record.chain.0, record.personal).ok().context("the seal doesn't open")?;
    let personal = stored::decode_personal(record.header.codec, &opened)?;
    Ok((personal.source.as_str().to_owned(), personal.id.as_str().to_owned()))
}
