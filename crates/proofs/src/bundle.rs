//! A bundle: records with their proofs, in files that others check offline. Knows no leads: what to put in is the
//! caller's choice.
//!
//! ```text
//! manifest.json        what is in the bundle: see `Manifest`
//! manifest.note        the SHA-256 of manifest.json, signed by the log's key
//! head.note            the signed head that the proofs lead to
//! earlier/SIZE.note    earlier signed heads, with consistency proofs in the manifest
//! records/POSITION     header, chain and facts of a record, and its sealed part unless that was left out
//! records.ndjson       the same records for people, one object a line, as the log's program reads them
//! policies/VERSION     policy documents, which stand word for word in records of the bundle
//! ```

use event_log::{HEADER_BYTES, LogError, LogPosition, Record};
use serde::Serialize;

use crate::hash::Hash;
use crate::head::TreeHead;
use crate::note::SigningKey;
use crate::tree::{LogTree, TreeError};

/// The form of bundles that this program writes.
const FORMAT: &str = "leadfold-proof/1";

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleFile {
    /// Where it belongs in the bundle's folder; parts are separated by `/`.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// A record to put in.
#[derive(Clone, Debug)]
pub struct BundleRecord {
    /// Which.
    pub position: LogPosition,
    /// The version of the policy that was in force, where it was decided under one.
    pub policy_version: Option<u32>,
    /// The record for people: JSON without a line end.
    pub readable: String,
}

/// A policy to put in.
#[derive(Clone, Debug)]
pub struct BundlePolicy {
    /// Its version.
    pub version: u32,
    /// The record that holds its document, which is among the bundle's records.
    pub position: LogPosition,
    /// The document, as adopted.
    pub document: String,
}

/// An earlier signed head, to show that the log only grew since.
#[derive(Clone, Debug)]
pub struct EarlierHead {
    /// How many records it covers.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

/// What goes into a bundle.
#[derive(Clone, Debug)]
pub struct Bundle<'a> {
    /// The program that writes it, such as `leadfold 1.2.3`.
    pub program: &'a str,
    /// Whose records.
    pub tenant: &'a str,
    /// What they are about, such as a lead's id.
    pub about: &'a str,
    /// The records, by position. With a record of a visitor all earlier ones of the visitor belong in it.
    pub records: Vec<BundleRecord>,
    /// The policies that they were decided under.
    pub policies: Vec<BundlePolicy>,
    /// Earlier heads.
    pub earlier: Vec<EarlierHead>,
    /// Whether sealed parts are left out.
    pub redact: bool,
}

#[derive(Serialize)]
struct Manifest<'a> {
    format: &'static str,
    program: &'a str,
    key: String,
    tenant: &'a str,
    about: &'a str,
    size: u64,
    earlier: Vec<ManifestEarlier>,
    records: Vec<ManifestRecord>,
    policies: Vec<ManifestPolicy>,
    files: Vec<ManifestFile>,
}

#[derive(Serialize)]
struct ManifestEarlier {
    size: u64,
    file: String,
    proof: Vec<String>,
}

#[derive(Serialize)]
struct ManifestRecord {
    position: u64,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_version: Option<u32>,
    /// SHA-256 of the sealed part, where that was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    sealed_sha256: Option<String>,
    proof: Vec<String>,
}

#[derive(Serialize)]
struct ManifestPolicy {
    version: u32,
    position: u64,
    file: String,
}

#[derive(Serialize)]
struct ManifestFile {
    path: String,
    bytes: usize,
    sha256: String,
}

impl Bundle<'_> {
    /// The bundle's files under a head that `key` signs, made at `time` (RFC 3339, UTC) over all records that the log has.
    ///
    /// # Errors
    /// When a record or earlier head is beyond the log's end, or the log fails.
    pub fn files(&self, tree: &LogTree, key: &SigningKey, time: &str) -> Result<Vec<BundleFile>, TreeError> {
        let head = head_now(tree, key, time)?;
        let size = head.size;
        let mut files = vec![file("head.note", head.signed(key))];
        let (mut records, mut earlier) = (Vec::new(), Vec::new());
        for record in &self.records {
            let (bytes, sealed_sha256) = self.record_bytes(tree, record.position)?;
            let path = format!("records/{}", record.position);
            records.push(ManifestRecord {
                position: record.position.0,
                file: path.clone(),
                policy_version: record.policy_version,
                sealed_sha256,
                proof: digits(&tree.inclusion(record.position, size)?),
            });
            files.push(BundleFile { path, bytes });
        }
        for EarlierHead { size: earlier_size, note } in &self.earlier {
            let path = format!("earlier/{earlier_size}.note");
            let proof = digits(&tree.consistency(*earlier_size, size)?);
            earlier.push(ManifestEarlier { size: *earlier_size, file: path.clone(), proof });
            files.push(file(&path, note.clone()));
        }
        let policies = self.policies.iter().map(|policy| {
            let path = format!("policies/{}", policy.version);
            files.push(file(&path, policy.document.clone()));
            ManifestPolicy { version: policy.version, position: policy.position.0, file: path }
        });
        let policies = policies.collect();
        let lines = self.records.iter().flat_map(|record| [record.readable.as_str(), "\n"]);
        files.push(file("records.ndjson", lines.collect()));
        let listed = files.iter().map(|BundleFile { path, bytes }| ManifestFile {
            path: path.clone(),
            bytes: bytes.len(),
            sha256: Hash::of_bytes(bytes).to_string(),
        });
        let manifest = Manifest {
            format: FORMAT,
            program: self.program,
            key: key.public().to_string(),
            tenant: self.tenant,
            about: self.about,
            size,
            earlier,
            records,
            policies,
            files: listed.collect(),
        };
        files.extend(signed_manifest(&manifest, key));
        Ok(files)
    }

    /// A record as it goes in, and the hash of its sealed part where that is left out.
    fn record_bytes(&self, tree: &LogTree, position: LogPosition) -> Result<(Vec<u8>, Option<String>), TreeError> {
        let mut bytes = tree.log().get(position)?.ok_or(LogError::Missing { position })?;
        let record = Record::read(&bytes).map_err(|fault| LogError::Damaged { position, fault })?;
        if !self.redact || record.personal.is_empty() {
            return Ok((bytes, None));
        }
        let sealed = Hash::of_bytes(record.personal).to_string();
        let open = HEADER_BYTES + record.facts.len();
        bytes.truncate(open);
        Ok((bytes, Some(sealed)))
    }
}

/// The head over all records.
fn head_now(tree: &LogTree, key: &SigningKey, time: &str) -> Result<TreeHead, TreeError> {
    let head = tree.log().head();
    let root = tree.root(head.position.0)?;
    let origin = key.public().name().to_owned();
    Ok(TreeHead { origin, size: head.position.0, root, chain: head.chain, time: time.to_owned() })
}

impl LogTree {
    /// The head over all records that the log has now, as `key` signs it.
    ///
    /// # Errors
    /// When the log fails.
    pub fn sign(&self, key: &SigningKey, time: &str) -> Result<(TreeHead, String), TreeError> {
        let head = head_now(self, key, time)?;
        let note = head.signed(key);
        Ok((head, note))
    }
}

fn file(path: &str, text: String) -> BundleFile {
    BundleFile { path: path.to_owned(), bytes: text.into_bytes() }
}

fn digits(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(Hash::to_string).collect()
}

#[expect(clippy::expect_used, reason = "texts and numbers always have a form in JSON")]
fn signed_manifest(manifest: &Manifest<'_>, key: &SigningKey) -> [BundleFile; 2] {
    let mut json = serde_json::to_string_pretty(manifest).expect("a manifest holds texts and numbers");
    json.push('\n');
    let note = key.sign(&format!("{FORMAT}\nmanifest.json sha256 {}\n", Hash::of_bytes(json.as_bytes())));
    [file("manifest.json", json), file("manifest.note", note)]
}
