//! What the machine can do with the same bytes, without deciding anything.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use event_log::{EventLog, LogPosition};
use rocks_store::{LogOptions, RocksLog};
use rocksdb::{DB, Options, WriteBatch, WriteOptions};
use serde::Deserialize;

/// Records between two syncs, about as many as the writer shares one sync among.
const RECORDS_PER_SYNC: u64 = 5_000;

/// Records a second.
pub(crate) struct Rates {
    pub(crate) writes: f64,
    pub(crate) scans: f64,
}

/// Writes `records` values of `bytes` bytes to one family of RocksDB, synced every 5,000, and scans them.
pub(crate) fn rocksdb(folder: &Path, records: u64, bytes: u64) -> anyhow::Result<Rates> {
    // A folder from an earlier round.
    let _ = std::fs::remove_dir_all(folder);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_write_buffer_size(64 << 20);
    let db = DB::open(&options, folder).context("cannot open RocksDB")?;
    let mut synced = WriteOptions::default();
    synced.set_sync(true);
    let noise = noise(usize::try_from(bytes)? + 64);
    let started = Instant::now();
    let mut batch = WriteBatch::default();
    for position in 0..records {
        let start = (position % 64) as usize;
        let value = noise.get(start..start + bytes as usize).unwrap_or_default();
        batch.put(position.to_be_bytes(), value);
        if (position + 1).is_multiple_of(RECORDS_PER_SYNC) || position + 1 == records {
            db.write_opt(std::mem::take(&mut batch), &synced).context("cannot write to RocksDB")?;
        }
    }
    let writes = records as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    let mut scanned: u64 = 0;
    for row in db.iterator(rocksdb::IteratorMode::Start) {
        row.context("cannot scan RocksDB")?;
        scanned += 1;
    }
    let scans = scanned as f64 / started.elapsed().as_secs_f64();
    Ok(Rates { writes, scans })
}

/// Writes `records` times `bytes` bytes to a file, one after the other, synced every 5,000; returns records a second.
pub(crate) fn disk(file: &Path, records: u64, bytes: u64) -> anyhow::Result<f64> {
    let block = noise(usize::try_from(bytes * RECORDS_PER_SYNC)?);
    let mut sequential = File::create(file).context("cannot make a file")?;
    let started = Instant::now();
    for _ in 0..records.div_ceil(RECORDS_PER_SYNC) {
        sequential.write_all(&block).context("cannot write to the disk")?;
        sequential.sync_data().context("cannot sync the disk")?;
    }
    let rate = records as f64 / started.elapsed().as_secs_f64();
    std::fs::remove_file(file).context("cannot remove the file")?;
    Ok(rate)
}

/// Bytes that don't compress, as sealed ones don't.
fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|place| (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
}

/// The envelope that every event has; the data stays as it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    id: &'a str,
    #[serde(borrow)]
    data: &'a serde_json::value::RawValue,
}

/// Decodes the lines of a file, borrowed, and returns lines a second.
pub(crate) fn json(traffic: &Path) -> anyhow::Result<f64> {
    let file = File::open(traffic).context("cannot open the traffic")?;
    let lines: Vec<String> =
        BufReader::new(file).lines().take(200_000).collect::<Result<_, _>>().context("cannot read the traffic")?;
    let started = Instant::now();
    let mut bytes = 0;
    for line in &lines {
        let envelope: Envelope<'_> = serde_json::from_str(line).context("cannot decode an event")?;
        bytes += envelope.id.len() + envelope.data.get().len();
    }
    anyhow::ensure!(bytes > 0, "the traffic is empty");
    Ok(lines.len() as f64 / started.elapsed().as_secs_f64())
}

/// Records and their bytes in a log.
pub(crate) fn log_size(folder: &Path) -> anyhow::Result<(u64, u64)> {
    let log = RocksLog::open_existing(folder, &LogOptions::default()).context("cannot open the log")?;
    let mut bytes = 0;
    let last = log.read(LogPosition(1), &mut |record| {
        bytes += (event_log::HEADER_BYTES + record.facts.len() + record.personal.len()) as u64;
        ControlFlow::Continue(())
    })?;
    Ok((last.0, bytes))
}
