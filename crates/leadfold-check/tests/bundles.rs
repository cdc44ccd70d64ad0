//! Bundles as Leadfold writes them, whole and altered.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic is how a test fails, in its helpers too")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use event_log::{Batch, Chain, EventLog, Header, LogPosition, MemoryLog, Record, RecordKind};
use leadfold_check::{Checked, Fault, Known, check};
use proofs::{Bundle, BundleFile, BundlePolicy, BundleRecord, EarlierHead, LogTree, SigningKey};

const POLICY: &str = "tenant = \"shop\"\n";

/// What a log of the tests holds: policies at 1 and 300, then visitors 1, 2 and 3 in turn.
fn add_records(log: &MemoryLog, until: u64) {
    let head = log.head();
    let mut batch = Batch::after(head);
    let mut chain: Chain = head.chain;
    for position in head.position.0 + 1..=until {
        let is_policy = matches!(position, 1 | 300);
        let visitor = if is_policy { 0 } else { position % 3 + 1 };
        let facts = if is_policy { format!("\u{3}x{POLICY}{position}") } else { format!("touch {position}") };
        let sealed = vec![position as u8; (position % 4) as usize * 8];
        let before = (2..position).rev().find(|other| *other != 300 && other % 3 + 1 == visitor).unwrap_or(0);
        let header = Header {
            codec: 1,
            kind: RecordKind(if is_policy { 3 } else { 1 }),
            tenant: 1,
            position: LogPosition(position),
            visitor,
            feed_sequence: position,
            occurred_at: 5,
            received_at: 6,
            recorded_at: 7,
            previous: LogPosition(if is_policy { 0 } else { before }),
            key: visitor,
            facts_len: facts.len() as u32,
            personal_len: sealed.len() as u32,
        };
        chain = Record::write(&header, chain, facts.as_bytes(), &mut batch.bytes);
        batch.bytes.extend_from_slice(&sealed);
        batch.ends.push(batch.bytes.len());
    }
    batch.chain = chain;
    log.append(&batch).unwrap();
}

struct Case {
    tree: LogTree,
    key: SigningKey,
    /// A head that was signed when the log had 400 records.
    held: String,
}

impl Case {
    fn new() -> Self {
        let log = Arc::new(MemoryLog::new());
        let key = SigningKey::from_seed(&[5; 32]);
        add_records(&log, 400);
        let (_, held) = LogTree::in_memory(log.clone()).sign(&key, "2026-11-01T00:00:00.000Z").unwrap();
        add_records(&log, 900);
        let mut tree = LogTree::in_memory(log);
        tree.extend(&mut |_| ControlFlow::Continue(())).unwrap();
        Self { tree, key, held }
    }

    /// The records of visitor 2, up to 310.
    fn bundle(&self) -> Bundle<'static> {
        let record = |position: u64| BundleRecord {
            position: LogPosition(position),
            policy_version: (!matches!(position, 1 | 300)).then_some(if position > 300 { 2 } else { 1 }),
            readable: format!("{{\"position\":{position}}}"),
        };
        let policy = |(version, position)| BundlePolicy {
            version,
            position: LogPosition(position),
            document: format!("{POLICY}{position}"),
        };
        Bundle {
            program: "leadfold 0.1.0",
            tenant: "shop",
            about: "L2.1",
            records: (1..=310).filter(|at| matches!(at, 1 | 300) || at % 3 + 1 == 2).map(record).collect(),
            policies: [(1, 1), (2, 300)].map(policy).to_vec(),
            earlier: vec![EarlierHead { size: 400, note: self.held.clone() }],
            redact: false,
        }
    }

    fn files(&self, bundle: &Bundle<'_>) -> Vec<BundleFile> {
        bundle.files(&self.tree, &self.key, "2026-11-23T00:00:00.000Z").unwrap()
    }

    fn check(&self, files: &[BundleFile]) -> Result<Checked, Fault> {
        self.check_knowing(files, Known::default())
    }

    fn check_knowing(&self, files: &[BundleFile], known: Known<'_>) -> Result<Checked, Fault> {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), files);
        check(folder.path(), known)
    }
}

fn write(folder: &Path, files: &[BundleFile]) {
    for BundleFile { path, bytes } in files {
        let place = folder.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
}

#[test]
fn a_whole_bundle_is_in_order() {
    let case = Case::new();
    let files = case.files(&case.bundle());
    let key = case.key.public().to_string();
    let checked = case.check_knowing(&files, Known { key: Some(&key), head: Some(&case.held) }).unwrap();
    assert_eq!((checked.size, checked.records, checked.policies, checked.earlier), (900, 105, 2, 1));
    assert_eq!((checked.left_out, checked.about.as_str()), (0, "L2.1"));
}

#[test]
fn sealed_parts_can_be_left_out() {
    let case = Case::new();
    let (open, redacted) = (case.files(&case.bundle()), case.files(&Bundle { redact: true, ..case.bundle() }));
    assert!(case.check(&redacted).unwrap().left_out > 50);
    let size = |files: &[BundleFile]| -> usize {
        files.iter().filter(|file| file.path.starts_with("records/")).map(|file| file.bytes.len()).sum()
    };
    assert!(size(&redacted) < size(&open));
}

/// A thousand bits spread over all files, and every bit of what is signed.
#[test]
fn every_changed_bit_is_found() {
    let case = Case::new();
    for redact in [false, true] {
        let files = case.files(&Bundle { redact, ..case.bundle() });
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &files);
        check(folder.path(), Known::default()).unwrap();
        let bits: Vec<(usize, usize)> =
            (0..files.len()).flat_map(|file| (0..files[file].bytes.len() * 8).map(move |bit| (file, bit))).collect();
        let signed = |file: usize| files[file].path.ends_with(".note");
        let step = bits.len() / 1_000;
        let (mut tried, mut unfound) = (0, Vec::new());
        for (index, (file, bit)) in bits.iter().copied().enumerate() {
            if !index.is_multiple_of(step) && !signed(file) {
                continue;
            }
            let BundleFile { path, bytes } = &files[file];
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            fs::write(folder.path().join(path), altered).unwrap();
            tried += 1;
            if check(folder.path(), Known::default()).is_ok() {
                unfound.push((path.clone(), bit));
            }
            fs::write(folder.path().join(path), bytes).unwrap();
        }
        assert!(tried > 1_000);
        assert_eq!(unfound, [], "of {tried} bits");
    }
}

#[test]
fn records_that_changed_places_are_found() {
    let case = Case::new();
    let mut files = case.files(&case.bundle());
    let places: Vec<usize> = (0..files.len()).filter(|file| files[*file].path.starts_with("records/")).collect();
    let (first, second) = (files[places[3]].bytes.clone(), files[places[7]].bytes.clone());
    files[places[3]].bytes = second;
    files[places[7]].bytes = first;
    let fault = case.check(&files).unwrap_err().to_string();
    assert!(fault.ends_with("it is not the one that was signed"), "{fault}");
}

#[test]
fn what_the_engine_itself_would_leave_out_is_found() {
    let case = Case::new();
    let mut bundle = case.bundle();
    let left_out = bundle.records.remove(5).position;
    let fault = case.check(&case.files(&bundle)).unwrap_err().to_string();
    assert_eq!(
        fault,
        format!("record {}: the same person's record before it, {left_out}, was left out", left_out.0 + 3)
    );

    let mut bundle = case.bundle();
    bundle.policies.pop();
    let fault = case.check(&case.files(&bundle)).unwrap_err().to_string();
    assert_eq!(fault, "record 301: the policy that it was decided under, version 2, is missing");

    let mut bundle = case.bundle();
    bundle.policies[0].document.push('#');
    let fault = case.check(&case.files(&bundle)).unwrap_err().to_string();
    assert_eq!(fault, "policy 1: its document is not the one that was recorded");

    let mut bundle = case.bundle();
    bundle.records[4].readable = "{\"position\":0}".to_owned();
    let fault = case.check(&case.files(&bundle)).unwrap_err().to_string();
    assert_eq!(fault, "records.ndjson: its lines are not the records of the bundle");
}

/// A log with one record changed and everything behind it written anew, signed by the same key.
#[test]
fn a_log_that_was_rewritten_is_found_by_a_head_from_before() {
    let case = Case::new();
    let other = Arc::new(MemoryLog::new());
    add_records(&other, 10);
    let mut batch = Batch::after(other.head());
    let bytes = case.tree.log().get(LogPosition(11)).unwrap().unwrap();
    let header = Record::read(&bytes).unwrap().header;
    let facts = b"something else";
    let header = Header { facts_len: facts.len() as u32, personal_len: 0, ..header };
    batch.chain = Record::write(&header, batch.chain, facts, &mut batch.bytes);
    batch.ends.push(batch.bytes.len());
    other.append(&batch).unwrap();
    add_records(&other, 900);
    let rewritten = Case { tree: LogTree::in_memory(other), key: SigningKey::from_seed(&[5; 32]), held: String::new() };
    let bundle = Bundle { earlier: Vec::new(), ..case.bundle() };
    let files = rewritten.files(&bundle);
    rewritten.check(&files).unwrap();
    let known = Known { key: None, head: Some(&case.held) };
    let fault = rewritten.check_knowing(&files, known).unwrap_err().to_string();
    assert!(fault.starts_with("the bundle says nothing about the head given, which covers 400 records"), "{fault}");
    let files = rewritten.files(&case.bundle());
    let fault = rewritten.check_knowing(&files, known).unwrap_err().to_string();
    assert_eq!(fault, "earlier/400.note: the log was changed since: it doesn't go on from this head");
    let (_, now) = case.tree.sign(&case.key, "2026-11-23T00:00:00.000Z").unwrap();
    let fault = rewritten.check_knowing(&rewritten.files(&bundle), Known { key: None, head: Some(&now) });
    assert_eq!(fault.unwrap_err().to_string(), "the log was changed: it signed two different heads of the same size");
}

#[test]
fn heads_and_keys_that_are_known_must_agree() {
    let case = Case::new();
    let files = case.files(&case.bundle());
    let other = SigningKey::from_seed(&[6; 32]);
    let fault = case.check_knowing(&files, Known { key: Some(&other.public().to_string()), head: None });
    assert!(matches!(fault, Err(Fault::Known(_))));
    let (_, foreign) = case.tree.sign(&other, "2026-11-23T00:00:00.000Z").unwrap();
    let fault = case.check_knowing(&files, Known { key: None, head: Some(&foreign) });
    assert_eq!(fault.unwrap_err().to_string(), "the head given is none that the log's key signed");
    // An old head in place of the bundle's own covers too little; one of the future says that the bundle is old.
    let mut old: BTreeMap<String, Vec<u8>> = files.iter().map(|file| (file.path.clone(), file.bytes.clone())).collect();
    old.insert("head.note".to_owned(), case.held.clone().into_bytes());
    let old: Vec<BundleFile> = old.into_iter().map(|(path, bytes)| BundleFile { path, bytes }).collect();
    assert_eq!(case.check(&old).unwrap_err().to_string(), "head.note: it is not the one that was signed");
    let log = Arc::new(MemoryLog::new());
    add_records(&log, 901);
    let (_, newer) = LogTree::in_memory(log).sign(&case.key, "2026-11-24T00:00:00.000Z").unwrap();
    let fault = case.check_knowing(&files, Known { key: None, head: Some(&newer) }).unwrap_err().to_string();
    assert_eq!(fault, "the bundle's head is older than the one given: 900 records, not 901");
}

#[test]
fn files_too_many_or_too_few_are_found() {
    let case = Case::new();
    let mut files = case.files(&case.bundle());
    files.push(BundleFile { path: "records/5".to_owned(), bytes: b"x".to_vec() });
    assert_eq!(case.check(&files).unwrap_err().to_string(), "records/5: it is no part of the bundle");
    for missing in 0..files.len() - 1 {
        let mut files = case.files(&case.bundle());
        let path = files.remove(missing).path;
        assert!(case.check(&files).unwrap_err().to_string().starts_with(&path), "{path}");
    }
    assert!(matches!(check(Path::new("/nowhere"), Known::default()), Err(Fault::Unreadable { .. })));
}

#[test]
fn the_program_says_what_it_found() {
    let case = Case::new();
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &case.files(&case.bundle()));
    fs::write(folder.path().with_extension("head"), &case.held).unwrap();
    let run = |args: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_leadfold-check"))
            .arg(folder.path())
            .args(args)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = run(&["--key", &case.key.public().to_string()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("the bundle is whole\n") && !said.contains("--key"), "{said}");
    let (code, said) = run(&["--json"]);
    assert_eq!((code, said.contains("\"whole\":true")), (Some(0), true));
    let record = folder.path().join("records/5");
    fs::write(&record, "x").unwrap();
    assert_eq!(run(&[]).0, Some(1));
    assert!(run(&["--json"]).1.contains("\"whole\":false"));
    assert_eq!(run(&["--head", "/nowhere"]).0, Some(2));
    fs::remove_file(folder.path().with_extension("head")).unwrap();
}
