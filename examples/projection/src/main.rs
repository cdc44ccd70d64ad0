//! Brings the example's model up to date with the log of a data folder, and prints it.
//!
//! The log is opened for reading only, as it stands, so a service may run beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use event_log::LogPosition;
use example_projection::ByChannel;
use key_vault::{KeyVault, MasterKey};
use projector::Projector;
use rocks_store::{LogOptions, ReadOnlyLog};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [data, models] = arguments.as_slice() else { bail!("usage: example-projection DATA-FOLDER MODEL-FOLDER") };
    let projector = caught_up(data, models)?;
    println!("{:10}  {:20}  {:>12}  {:>6}", "day", "channel", "interactions", "sales");
    for (day, channel, interactions, sales) in projector.projection().rows()? {
        println!("{day:10}  {channel:20}  {interactions:12}  {sales:6}");
    }
    Ok(())
}

fn caught_up(data: &Path, models: &Path) -> anyhow::Result<Projector<ByChannel>> {
    std::fs::create_dir_all(models).with_context(|| format!("cannot make the folder {}", models.display()))?;
    let log = ReadOnlyLog::open(&data.join("log"), &LogOptions::default()).context("cannot open the log")?;
    // It wants no personal data, so it never asks for a key.
    let vault = KeyVault::in_memory(MasterKey::from_bytes([0; 32]));
    let mut projector = Projector::new(Arc::new(log), Arc::new(vault), ByChannel::open(models)?)?;
    projector.catch_up(LogPosition(u64::MAX), &mut |position| eprint!("\rat position {}", position.0))?;
    eprintln!();
    Ok(projector)
}
