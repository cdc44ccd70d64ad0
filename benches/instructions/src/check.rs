//! Counts the instructions of each part with Callgrind, and compares them with the committed counts.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::Work;
use crate::parts::Part;

/// Instructions for each interaction, by the name of the part.
pub(crate) type Counts = BTreeMap<String, f64>;

/// A part whose count is further off than this is told. Runs on one machine differ by less than a thousandth; processors
/// differ by the paths that BLAKE3 and copying take on them.
const TOLERANCE: f64 = 0.05;

/// Runs each part under Callgrind.
pub(crate) fn count(work: &Work) -> anyhow::Result<Counts> {
    Part::ALL.into_iter().map(|part| Ok((part.name().to_owned(), count_part(part, work)?))).collect()
}

fn count_part(part: Part, work: &Work) -> anyhow::Result<f64> {
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{}*", part.function()))
        .arg(program)
        .args(["run", part.name(), "--traffic"])
        .arg(&work.traffic)
        .arg("--policy")
        .arg(&work.policy)
        .output()
        .context(
            "cannot start valgrind; install it (Debian: `apt-get install valgrind`, or `scripts/setup.sh tests`)",
        )?;
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{} failed under valgrind: {told}", part.name());
    let interactions: f64 = said.trim().parse().with_context(|| format!("{} says \"{}\"", part.name(), said.trim()))?;
    let collected = collected(&told).with_context(|| format!("valgrind tells no count for {}: {told}", part.name()))?;
    ensure!(collected > 0.0, "valgrind counted nothing in {}; is the program stripped?", part.function());
    Ok((collected / interactions).round())
}

/// The count in what Callgrind tells at its end: `==1== Collected : 123`.
fn collected(told: &str) -> Option<f64> {
    told.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
}

pub(crate) fn read(file: &Path) -> anyhow::Result<Counts> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} holds no counts", file.display()))
}

pub(crate) fn write(file: &Path, counts: &Counts) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(counts)? + "\n";
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// Prints what was found beside what is expected.
///
/// # Errors
/// When a part takes more than is tolerated, or so much less that the file should say so.
pub(crate) fn compare(expected: &Counts, found: &Counts) -> anyhow::Result<()> {
    println!("{:14} | {:>10} | {:>10} | ratio", "instructions", "expected", "found");
    for (name, count) in found {
        let known = expected.get(name).copied().unwrap_or_default();
        println!("{name:14} | {known:10.0} | {count:10.0} | {:5.3}", count / known);
    }
    let faults = faults(expected, found);
    if !faults.is_empty() {
        bail!("{}. If that is meant, `make instructions-update` writes the new counts down", faults.join("; "));
    }
    Ok(())
}

fn faults(expected: &Counts, found: &Counts) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, count) in found {
        let Some(known) = expected.get(name) else {
            faults.push(format!("{name} is not in the file"));
            continue;
        };
        let percent = (count / known - 1.0) * 100.0;
        // What can't be told apart from no change is none.
        if percent.abs() / 100.0 > TOLERANCE {
            let word = if percent > 0.0 { "more" } else { "fewer" };
            faults.push(format!("{name} takes {:.1} % {word} instructions than the file says", percent.abs()));
        }
    }
    faults.extend(expected.keys().filter(|name| !found.contains_key(*name)).map(|name| format!("there is no {name}")));
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, f64)]) -> Counts {
        counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn the_count_is_found_in_what_callgrind_tells() {
        let told = "==7== Callgrind, a call-graph generating cache profiler\n==7== \n==7== Events    : Ir\n\
                    ==7== Collected : 123456\n==7== \n==7== I   refs:      123,456\n";
        assert_eq!(collected(told), Some(123_456.0));
        assert_eq!(collected("==7== Events    : Ir\n"), None);
    }

    #[test]
    fn what_differs_by_more_than_is_tolerated_is_a_fault_in_both_directions() {
        let expected = counts(&[("decide", 1_000.0), ("fold", 1_000.0), ("encode", 1_000.0), ("gone", 1.0)]);
        let found = counts(&[("decide", 1_049.0), ("fold", 1_051.0), ("encode", 900.0), ("new", 1.0)]);
        let faults = faults(&expected, &found).join("; ");
        assert_eq!(
            faults,
            "encode takes 10.0 % fewer instructions than the file says; fold takes 5.1 % more instructions than the file \
             says; new is not in the file; there is no gone"
        );
        assert!(compare(&expected, &expected).is_ok());
    }
}
