//! The check itself, file by file and record by record.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::manifest::{FORMAT, Listed, Manifest};
use crate::merkle::{Hash, is_consistent, is_included, leaf, sha256};
use crate::note::{Head, Key};

/// Header and chain of a record, in bytes; the facts follow.
const HEADER_BYTES: usize = 112;
/// No bundle's file is larger.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What the one who checks knows from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The log's public key, `NAME+KEYID+BASE64`. Without it the bundle is only checked against its own.
    pub key: Option<&'a str>,
    /// A signed head of the log.
    pub head: Option<&'a str>,
}

/// What a bundle that is in order proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What wrote it.
    pub program: String,
    /// The tenant whose records it holds.
    pub tenant: String,
    /// What they are about.
    pub about: String,
    /// The public key that signed.
    pub key: String,
    /// How many records the signed head covers.
    pub size: u64,
    /// When it was signed.
    pub time: String,
    /// Records in the bundle.
    pub records: usize,
    /// Those whose sealed parts were left out.
    pub left_out: usize,
    /// Policies in the bundle.
    pub policies: usize,
    /// Earlier heads that the log has only grown from.
    pub earlier: usize,
}

/// What is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A file can't be read.
    #[error("{path}: can't be read ({reason})")]
    Unreadable {
        /// Which.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// A file is not what it is to be.
    #[error("{path}: {fault}")]
    File {
        /// Which.
        path: String,
        /// What is wrong.
        fault: String,
    },
    /// A record doesn't stand where it is said to.
    #[error("record {position}: {fault}")]
    Record {
        /// Which.
        position: u64,
        /// What is wrong.
        fault: String,
    },
    /// A policy that records were decided under.
    #[error("policy {version}: {fault}")]
    Policy {
        /// Which.
        version: u32,
        /// What is wrong.
        fault: &'static str,
    },
    /// It doesn't agree with what is known from elsewhere.
    #[error("{0}")]
    Known(String),
}

/// Checks the bundle in a folder.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(folder: &Path, known: Known<'_>) -> Result<Checked, Fault> {
    let text = read_text(folder, "manifest.json")?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| in_file("manifest.json", error.to_string()))?;
    if manifest.format != FORMAT {
        return Err(in_file(
            "manifest.json",
            format!("its format is {}; this program knows {FORMAT}", manifest.format),
        ));
    }
    if known.key.is_some_and(|key| key != manifest.key) {
        return Err(Fault::Known(format!("the bundle is signed by {}, which is not the key given", manifest.key)));
    }
    let key = Key::read(&manifest.key).ok_or_else(|| in_file("manifest.json", "its key is none".to_owned()))?;
    check_signature(folder, &text, &key)?;
    check_files(folder, &manifest)?;
    let head = open_head(folder, "head.note", &key)?;
    if head.size != manifest.size {
        return Err(in_file("head.note", format!("it covers {} records, not {}", head.size, manifest.size)));
    }
    let earlier = check_earlier(folder, &manifest, &key, &head)?;
    if let Some(note) = known.head {
        check_known_head(note, &key, &head, &earlier)?;
    }
    let facts = check_records(folder, &manifest, &head)?;
    check_policies(folder, &manifest, &facts)?;
    check_readable(folder, &manifest)?;
    Ok(Checked {
        left_out: manifest.records.iter().filter(|record| record.sealed_sha256.is_some()).count(),
        records: manifest.records.len(),
        policies: manifest.policies.len(),
        earlier: earlier.len(),
        program: manifest.program,
        tenant: manifest.tenant,
        about: manifest.about,
        key: manifest.key,
        size: head.size,
        time: head.time,
    })
}

fn in_file(path: &str, fault: String) -> Fault {
    Fault::File { path: path.to_owned(), fault }
}

/// Reads a file of the bundle; its path must stay inside.
fn read(folder: &Path, path: &str) -> Result<Vec<u8>, Fault> {
    let parts = || path.split('/');
    if parts().any(|part| part.is_empty() || part.starts_with('.') || part.contains(['\\', ':'])) {
        return Err(in_file(path, "it leads out of the bundle".to_owned()));
    }
    let place: PathBuf = parts().fold(folder.to_owned(), |place, part| place.join(part));
    let unreadable = |error: std::io::Error| Fault::Unreadable { path: path.to_owned(), reason: error.to_string() };
    if fs::metadata(&place).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err(in_file(path, "it is larger than any file of a bundle".to_owned()));
    }
    fs::read(place).map_err(unreadable)
}

fn read_text(folder: &Path, path: &str) -> Result<String, Fault> {
    String::from_utf8(read(folder, path)?).map_err(|_| in_file(path, "it is no UTF-8 text".to_owned()))
}

fn check_signature(folder: &Path, manifest: &str, key: &Key) -> Result<(), Fault> {
    let note = read_text(folder, "manifest.note")?;
    let text = key.open(&note).ok_or_else(|| in_file("manifest.note", "the log's key didn't sign it".to_owned()))?;
    let digits: String = sha256(manifest.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    if text == format!("{FORMAT}\nmanifest.json sha256 {digits}\n") {
        Ok(())
    } else {
        Err(in_file("manifest.json", "it is not the one that was signed".to_owned()))
    }
}

/// Every file is the one that was listed, and there is no other.
fn check_files(folder: &Path, manifest: &Manifest) -> Result<(), Fault> {
    let mut listed: BTreeSet<&str> = ["manifest.json", "manifest.note"].into();
    for file in &manifest.files {
        let bytes = read(folder, &file.path)?;
        if bytes.len() != file.bytes || sha256(&bytes) != file.sha256.0 {
            return Err(in_file(&file.path, "it is not the one that was signed".to_owned()));
        }
        listed.insert(&file.path);
    }
    let named = manifest.records.iter().map(|record| &record.file);
    let named = named.chain(manifest.policies.iter().map(|policy| &policy.file));
    let named = named.chain(manifest.earlier.iter().map(|earlier| &earlier.file)).map(String::as_str);
    let mut named = named.chain(["head.note", "records.ndjson"]);
    if let Some(path) = named.find(|path| !listed.contains(path)) {
        return Err(in_file(path, "the manifest names it and doesn't list it".to_owned()));
    }
    let mut found = Vec::new();
    walk(folder, "", &mut found)?;
    match found.iter().find(|path| !listed.contains(path.as_str())) {
        Some(path) => Err(in_file(path, "it is no part of the bundle".to_owned())),
        None => Ok(()),
    }
}

/// The paths of all files below a folder.
fn walk(folder: &Path, path: &str, found: &mut Vec<String>) -> Result<(), Fault> {
    let unreadable = |error: std::io::Error| Fault::Unreadable { path: path.to_owned(), reason: error.to_string() };
    for entry in fs::read_dir(folder.join(path)).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| in_file(path, "it holds a name that is no UTF-8".to_owned()))?;
        let inner = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        if entry.file_type().map_err(unreadable)?.is_dir() {
            walk(folder, &inner, found)?;
        } else {
            found.push(inner);
        }
    }
    Ok(())
}

fn open_head(folder: &Path, path: &str, key: &Key) -> Result<Head, Fault> {
    let note = read_text(folder, path)?;
    key.head(&note).ok_or_else(|| in_file(path, "it is no head that the log's key signed".to_owned()))
}

/// The log only grew from each earlier head.
fn check_earlier(folder: &Path, manifest: &Manifest, key: &Key, head: &Head) -> Result<Vec<Head>, Fault> {
    let mut heads = Vec::new();
    for earlier in &manifest.earlier {
        let old = open_head(folder, &earlier.file, key)?;
        let proof: Vec<Hash> = earlier.proof.iter().map(|digits| digits.0).collect();
        if old.size != earlier.size || !is_consistent(old.size, old.root, head.size, head.root, &proof) {
            return Err(in_file(
                &earlier.file,
                "the log was changed since: it doesn't go on from this head".to_owned(),
            ));
        }
        heads.push(old);
    }
    Ok(heads)
}

fn check_known_head(note: &str, key: &Key, head: &Head, earlier: &[Head]) -> Result<(), Fault> {
    let held =
        key.head(note).ok_or_else(|| Fault::Known("the head given is none that the log's key signed".to_owned()))?;
    if held.size > head.size {
        let (size, held) = (head.size, held.size);
        return Err(Fault::Known(format!("the bundle's head is older than the one given: {size} records, not {held}")));
    }
    let mut same_size = earlier.iter().chain([head]).filter(|other| other.size == held.size).peekable();
    if same_size.peek().is_none() {
        return Err(Fault::Known(format!(
            "the bundle says nothing about the head given, which covers {} records; ask for one that was made with it: \
             leadfold prove … --since FILE",
            held.size
        )));
    }
    if same_size.any(|other| other.root != held.root) {
        return Err(Fault::Known("the log was changed: it signed two different heads of the same size".to_owned()));
    }
    Ok(())
}

/// The facts of all records, by position, once each stands where it is said to.
fn check_records(folder: &Path, manifest: &Manifest, head: &Head) -> Result<BTreeMap<u64, Vec<u8>>, Fault> {
    let mut facts = BTreeMap::new();
    let mut previous = Vec::new();
    for listed in &manifest.records {
        let fault = |fault: &str| Fault::Record { position: listed.position, fault: fault.to_owned() };
        let bytes = read(folder, &listed.file)?;
        let record = Parts::of(&bytes, listed).ok_or_else(|| fault("it has not the form of a record"))?;
        if record.position != listed.position || listed.position == 0 {
            return Err(fault("it says that it stands elsewhere"));
        }
        let proof: Vec<Hash> = listed.proof.iter().map(|digits| digits.0).collect();
        if !is_included(leaf(record.open, record.sealed), listed.position - 1, head.size, &proof, head.root) {
            return Err(fault("it doesn't stand in the log that was signed"));
        }
        previous.push((listed.position, record.previous));
        if facts.insert(listed.position, record.facts.to_vec()).is_some() {
            return Err(fault("it is there twice"));
        }
    }
    match previous.iter().find(|(_, previous)| *previous != 0 && !facts.contains_key(previous)) {
        Some((position, missing)) => {
            let fault = format!("the same person's record before it, {missing}, was left out");
            Err(Fault::Record { position: *position, fault })
        }
        None => Ok(facts),
    }
}

/// What is read of a record.
struct Parts<'a> {
    position: u64,
    previous: u64,
    open: &'a [u8],
    facts: &'a [u8],
    sealed: Hash,
}

impl<'a> Parts<'a> {
    fn of(bytes: &'a [u8], listed: &Listed) -> Option<Self> {
        let word = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let length = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let (facts_len, sealed_len) = (length(72)?, length(76)?);
        let (open, sealed) = bytes.split_at_checked(HEADER_BYTES + facts_len)?;
        let sealed = match listed.sealed_sha256 {
            Some(digits) if sealed.is_empty() => digits.0,
            Some(_) => return None,
            None if sealed.len() == sealed_len => sha256(sealed),
            None => return None,
        };
        Some(Self { position: word(8)?, previous: word(56)?, open, facts: open.get(HEADER_BYTES..)?, sealed })
    }
}

/// Each policy stands word for word in its record, and every record's policy is there.
fn check_policies(folder: &Path, manifest: &Manifest, facts: &BTreeMap<u64, Vec<u8>>) -> Result<(), Fault> {
    for policy in &manifest.policies {
        let fault = |fault| Fault::Policy { version: policy.version, fault };
        let document = read(folder, &policy.file)?;
        let record = facts.get(&policy.position).ok_or_else(|| fault("its record is not in the bundle"))?;
        if document.is_empty() || !record.windows(document.len()).any(|part| part == document) {
            return Err(fault("its document is not the one that was recorded"));
        }
    }
    for record in &manifest.records {
        let Some(version) = record.policy_version else { continue };
        let of_record =
            |policy: &&crate::manifest::Policy| policy.version == version && policy.position < record.position;
        if manifest.policies.iter().find(of_record).is_none() {
            let fault = format!("the policy that it was decided under, version {version}, is missing");
            return Err(Fault::Record { position: record.position, fault });
        }
    }
    Ok(())
}

/// The lines for people are as many as the records, in the same order.
fn check_readable(folder: &Path, manifest: &Manifest) -> Result<(), Fault> {
    let text = read_text(folder, "records.ndjson")?;
    let positions = text.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line.get("position")?.as_u64()
    });
    if positions.eq(manifest.records.iter().map(|record| Some(record.position))) {
        Ok(())
    } else {
        Err(in_file("records.ndjson", "its lines are not the records of the bundle".to_owned()))
    }
}
