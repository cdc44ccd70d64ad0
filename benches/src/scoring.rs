//! What scoring costs an import: the same traffic under a policy without anything of the kind, with funnel and nurture
//! programmes but no rules, with its own rules, and with a hundred. Ratios are to the one without rules.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::{Args, import};

/// So many rules in all.
const RULES: usize = 100;
/// What the added rules ask about: actions that are frequent in the traffic.
const ACTIONS: [&str; 5] = ["product.viewed", "page.viewed", "search.performed", "cart.updated", "banner.clicked"];
/// The tables of a policy that concern scores.
const TABLES: [&str; 5] = ["[scoring]", "[[scoring.", "[temperature]", "[[funnel.", "[[nurture]]"];
/// Those of them that concern rules.
const RULE_TABLES: [&str; 2] = ["[scoring]", "[[scoring."];

pub(crate) fn measure(args: &Args, traffic: &Path, folder: &Path) -> anyhow::Result<()> {
    let policy = fs::read_to_string(&args.policy).context("cannot read the policy")?;
    let variants = [
        ("none", without(&policy, &RULE_TABLES)),
        ("bare", bare(&policy)),
        ("own", policy.clone()),
        ("100", with_rules(&policy)),
    ];
    println!("round | rules | import /s | of none | CPU s | CPU of none | bytes each");
    for round in 1..=args.rounds {
        let mut none = None;
        for (name, text) in &variants {
            let file: PathBuf = folder.join(format!("policy-{name}.toml"));
            fs::write(&file, text).context("cannot write a policy")?;
            let found = import::measure(&args.leadfold, &file, traffic, folder)?;
            let rate = args.interactions as f64 / found.seconds;
            let (base, cpu) = *none.get_or_insert((rate, found.cpu_seconds));
            println!(
                "{round:5} | {name:>5} | {rate:9.0} | {:7.2} | {:5.1} | {:11.2} | {:10}",
                rate / base,
                found.cpu_seconds,
                found.cpu_seconds / cpu,
                found.log_bytes / found.records.max(1),
            );
        }
    }
    Ok(())
}

/// The policy without anything that concerns scores, stages and messages.
pub(crate) fn bare(policy: &str) -> String {
    without(policy, &TABLES)
}

/// The policy without some tables.
fn without(policy: &str, tables: &[&str]) -> String {
    let mut text = String::new();
    let mut skipping = false;
    for line in policy.lines() {
        if line.starts_with('[') {
            skipping = tables.iter().any(|table| line.starts_with(table));
        }
        if !skipping {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The policy with further rules, up to a hundred: each is looked at for frequent interactions and seldom fires, as rules for
/// single campaigns and products do.
fn with_rules(policy: &str) -> String {
    let known = policy.lines().filter(|line| *line == "[[scoring.rule]]").count();
    let mut text = policy.to_owned();
    for (number, action) in (known..RULES).zip(ACTIONS.iter().cycle()) {
        let _ = write!(
            text,
            "\n[[scoring.rule]]\nname = \"campaign {number}\"\ngroup = \"behaviour\"\npoints = 3\n\
             when = {{ action = \"{action}\", campaign = \"campaign-{number}\" }}\nlimit = {{ times = 1 }}\n"
        );
    }
    text
}
