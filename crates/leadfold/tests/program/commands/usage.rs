//! The command line itself: help, wrong usage, shapes of output, pipes that close.

use std::process::Stdio;

use super::small_shop;
use crate::support::{Folder, Run, objects};

/// The names that a help text lists under "Commands:".
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(ToOwned::to_owned));
    names.filter(|name| !name.is_empty() && name != "help").collect()
}

/// The help of a command and of all below it.
fn helps(folder: &Folder, command: &[String], found: &mut Vec<(Vec<String>, String)>) {
    // A lead's id and the like stand between a command and its acts.
    let given = command.iter().enumerate().flat_map(|(depth, name)| {
        let id = match name.as_str() {
            "lead" => Some("V1-1"),
            "visitor" => Some("V1"),
            "orphan" | "interaction" => Some("I1"),
            "quarantine" => Some("1"),
            "as-of" => Some("2026-01-31T12:00:00Z"),
            _ => None,
        };
        [Some(name.as_str()), id.filter(|_| depth == 0 && command.len() > 1)]
    });
    let help = folder.done(given.flatten().chain(["--help"]));
    for name in listed(&help) {
        let below: Vec<String> = command.iter().cloned().chain([name]).collect();
        helps(folder, &below, found);
    }
    found.push((command.to_vec(), help));
}

/// Commands that do nothing without another word.
const GROUPS: [&str; 4] = ["policy", "feed", "keys", "config"];

#[test]
fn the_help_of_every_command_has_an_example_of_it() {
    let mut found = Vec::new();
    helps(&Folder::empty(), &[], &mut found);
    assert!(found.len() >= 35, "{} commands", found.len());
    for (command, help) in found {
        let Some((_, examples)) = help.split_once("Example") else {
            assert!(GROUPS.iter().any(|group| command == [*group]), "{command:?} has no example");
            continue;
        };
        let names = |example: &str| command.iter().all(|word| example.split_whitespace().any(|found| found == word));
        assert!(examples.lines().any(|line| line.starts_with("  ") && names(line)), "{command:?}: {examples}");
    }
}

#[test]
fn completions_a_manual_page_and_a_version_are_printed() {
    let folder = Folder::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.done(["completions", shell]);
        assert!(script.contains("quarantine"), "{shell}");
    }
    let page = folder.done(["man"]);
    assert!(page.contains(".TH leadfold 1") && page.contains("Exit codes"), "{page}");
    assert!(folder.done(["--version"]).starts_with("leadfold "));
}

#[test]
fn wrong_usage_ends_with_code_2_and_names_what_would_be_right() {
    let folder = small_shop();
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage: leadfold"),
        (&["frobnicate"], "frobnicate"),
        (&["import"], "<FILE>"),
        (&["lead"], "<ID>"),
        (&["lead", "42"], "V42-1"),
        (&["lead", "V1-1", "close"], "--reason"),
        (&["lead", "V1-1", "set"], "NAME=VALUE"),
        (&["lead", "V1-1", "set", "plan"], "NAME=VALUE"),
        (&["lead", "V1-1", "convert", "--value", "129.00"], "129.00"),
        (&["lead", "V1-1", "convert", "--currency", "EUR"], "--value"),
        (&["lead", "V1-1", "convert", "--value", "1", "--currency", "EURO"], "ISO 4217"),
        (&["lead", "V1-1", "note", "x", "--at", "noon"], "2026-01-31T12:00:00Z"),
        (&["lead", "V1-1", "--limit", "3"], "--timeline"),
        (&["lead", "V1-1", "--why", "x"], "--score"),
        (&["lead", "V1-1", "--score", "--why", "no such rule"], "no such rule"),
        (&["orphan", "I3", "adopt"], "--lead-type"),
        (&["orphan", "I3", "adopt", "--lead", "V1-1", "--lead-type", "tablets"], "cannot be used with"),
        (&["orphan", "V1"], "I1042"),
        (&["interaction", "I3", "move"], "--to"),
        (&["visitor", "I3"], "V42"),
        (&["leads", "--status", "sleeping"], "--status must be open or closed"),
        (&["leads", "--close-cause", "boredom"], "--close-cause must be conversion, operator"),
        (&["leads", "--last-interaction-from", "noon"], "--last-interaction-from must be an RFC 3339 time"),
        (&["leads", "--value-min", "1.5"], "--value-min must be a whole number"),
        (&["leads", "--sort", "colour"], "--sort must be last_interaction_at, score"),
        (&["leads", "--attr", "plan"], "--attr must be NAME=VALUE"),
        (&["orphans", "--from", "noon"], "--from must be an RFC 3339 time"),
        (&["projections", "rebuild", "nothing"], "there are: listing, analytics"),
        (&["quarantine", "discard"], "name the position"),
        (&["quarantine", "--state", "lost"], "held"),
        (&["leads", "--server", "here"], "--server must be the address of a service"),
        (&["as-of", "noon", "leads"], "2026-01-31T12:00:00Z"),
        (&["as-of", "2026-01-01T00:00:00Z"], "leads"),
        (&["replay", "--from", "0"], "--from"),
        (&["what-if"], "--policy"),
        (&["restore", "backups"], "--keys"),
        (&["completions", "cmd"], "bash"),
        (&["generate", "--visitors", "0", "--interactions", "1", "--seed", "1"], "--visitors"),
        (&["leads", "--clock", "noon"], "2026-01-31T12:00:00Z"),
    ];
    let head = folder.log_position();
    for (args, says) in cases {
        let run = folder.run(args.iter().copied());
        assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(run.stderr.contains(says), "{args:?}: {}", run.stderr);
    }
    assert_eq!(folder.log_position(), head);
}

#[test]
fn with_json_every_command_prints_one_object_a_line() {
    let folder = small_shop();
    folder.write("bad.ndjson", "{\n");
    let commands: &[&[&str]] = &[
        &["import", "bad.ndjson"],
        &["leads"],
        &["lead", "V1-1"],
        &["lead", "V1-1", "--timeline"],
        &["lead", "V1-1", "--score"],
        &["lead", "V1-1", "note", "x"],
        &["orphans"],
        &["duplicates"],
        &["visitor", "V1"],
        &["visitor", "V1", "--timeline"],
        &["quarantine"],
        &["quarantine", "12"],
        &["policy", "show"],
        &["policy", "history"],
        &["projections"],
        &["config", "show"],
        &["projections", "rebuild", "listing"],
        &["verify"],
        &["repair"],
        &["quarantine", "12", "discard"],
    ];
    for args in commands {
        assert!(!folder.json(args.iter().copied()).is_empty(), "{args:?}");
    }
    assert_eq!(folder.json(["quarantine"]), objects(""));
}

#[test]
fn a_reader_who_leaves_early_is_no_failure() {
    let folder = small_shop();
    folder.write("bad.ndjson", "{\n");
    folder.import("bad.ndjson");
    let commands: &[&[&str]] = &[
        &["leads"],
        &["leads", "--json", "--limit", "100000"],
        &["lead", "V1-1"],
        &["lead", "V1-1", "--timeline"],
        &["lead", "V1-1", "--score"],
        &["lead", "V1-1", "note", "is kept"],
        &["orphans"],
        &["duplicates"],
        &["visitor", "V1"],
        &["quarantine"],
        &["quarantine", "12", "show"],
        &["policy", "show"],
        &["policy", "history"],
        &["projections"],
        &["verify"],
        &["import", "bad.ndjson"],
        &["generate", "--visitors", "50", "--interactions", "5000", "--seed", "1"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ];
    for args in commands {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = folder.command(args.iter().copied()).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let run = Run::ended(child.wait_with_output().unwrap());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{args:?}");
    }
    let lead = folder.json_one(["lead", "V1-1"]);
    assert_eq!(lead["notes"][0]["text"], "is kept");
}
