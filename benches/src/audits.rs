//! What audits cost: replay and verification of an imported log, beside what reading it costs without deciding anything.
//!
//! The log is made under the policy as it is, and under the same one without scoring, temperature, funnel and programmes.

use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};
use event_log::{Chain, EventLog, LogPosition, Record};
use proto_events::stored::decode_facts;
use rocks_store::{LogOptions, ReadOnlyLog};

use crate::{Args, import, scoring};

pub(crate) fn measure(args: &Args, traffic: &Path, folder: &Path) -> anyhow::Result<()> {
    let policy = std::fs::read_to_string(&args.policy).context("cannot read the policy")?;
    println!(
        "policy | round | scan /s | with chain /s | and decoding /s | replay /s | of decoding | verify /s | MB/s | of chain"
    );
    for (name, text) in [("bare", scoring::bare(&policy)), ("own", policy.clone())] {
        let file = folder.join(format!("policy-{name}.toml"));
        std::fs::write(&file, text).context("cannot write a policy")?;
        let imported = import::measure(&args.leadfold, &file, traffic, folder)?;
        let data = folder.join("data");
        for round in 1..=args.rounds {
            let scan = read(&data, |_, _| Ok(()))?;
            let chain = read(&data, follow)?;
            let decoding = read(&data, |record, chain| {
                follow(record, chain)?;
                let facts = decode_facts(record.header.codec, record.facts)?;
                ensure!(facts.events.len() < 1_000_000, "no record has so many events");
                Ok(())
            })?;
            let replay = run(&args.leadfold, &data, &["replay"])?;
            let verify = run(&args.leadfold, &data, &["verify", "--skip-models"])?;
            let rate = |seconds: f64| imported.records as f64 / seconds;
            println!(
                "{name:>6} | {round:5} | {:7.0} | {:13.0} | {:15.0} | {:9.0} | {:11.2} | {:9.0} | {:4.0} | {:8.2}",
                rate(scan),
                rate(chain),
                rate(decoding),
                rate(replay),
                decoding / replay,
                rate(verify),
                imported.log_bytes as f64 / verify / 1e6,
                chain / verify,
            );
        }
    }
    Ok(())
}

fn follow(record: &Record<'_>, chain: &mut Chain) -> anyhow::Result<()> {
    record.follows(record.header.position, *chain)?;
    *chain = record.chain;
    Ok(())
}

/// Reads the log on one thread and returns the seconds.
fn read(data: &Path, mut each: impl FnMut(&Record<'_>, &mut Chain) -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let log = ReadOnlyLog::open(&data.join("log"), &LogOptions::default()).context("cannot open the log")?;
    let started = Instant::now();
    let (mut chain, mut fault) = (Chain::default(), None);
    log.read(LogPosition(1), &mut |record| match each(&record, &mut chain) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            fault = Some(error);
            ControlFlow::Break(())
        }
    })?;
    fault.map_or(Ok(started.elapsed().as_secs_f64()), Err)
}

/// Runs the program to its end and returns the seconds, starting and opening included.
fn run(program: &Path, data: &Path, verb: &[&str]) -> anyhow::Result<f64> {
    let started = Instant::now();
    let status = Command::new(program).arg("--data").arg(data).args(verb).stdout(Stdio::null()).status();
    ensure!(status.context("cannot start the program")?.success(), "the program failed");
    Ok(started.elapsed().as_secs_f64())
}
