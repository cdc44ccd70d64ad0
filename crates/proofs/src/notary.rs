//! The tree and the key of a log together: what signs heads and makes bundles. Records nothing.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use event_log::{EventLog, LogPosition};

use crate::bundle::{Bundle, BundleFile};
use crate::head::TreeHead;
use crate::note::{SigningKey, VerifyingKey};
use crate::tree::{LogTree, TreeError};

/// What signs heads of one log and makes bundles from it. Safe to use from several threads, one at a time.
pub struct Notary {
    tree: Mutex<LogTree>,
    key: SigningKey,
}

impl Notary {
    /// Opens the tree of a log whose tiles are kept in `folder`; the key follows from `seed`.
    ///
    /// # Errors
    /// When the folder can't be read or made.
    pub fn open(log: Arc<dyn EventLog>, folder: &Path, seed: &[u8; 32]) -> Result<Self, TreeError> {
        let tree = Mutex::new(LogTree::open(log, folder)?);
        Ok(Self { tree, key: SigningKey::from_seed(seed) })
    }

    /// Whose signatures they are.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        self.key.public()
    }

    /// The head over all records that the log has now, signed at `time` (RFC 3339). Reads the records that came since the
    /// last time, which takes a second for some million of them.
    ///
    /// # Errors
    /// When the log or the folder fails.
    pub fn sign(&self, time: &str, progress: &mut dyn FnMut(LogPosition)) -> Result<(TreeHead, String), TreeError> {
        self.with_tree(progress, |tree| tree.sign(&self.key, time))
    }

    /// The files of a bundle under a head that is signed at `time` (RFC 3339).
    ///
    /// # Errors
    /// When a record is beyond the log's end, or the log or the folder fails.
    pub fn bundle(
        &self,
        bundle: &Bundle<'_>,
        time: &str,
        progress: &mut dyn FnMut(LogPosition),
    ) -> Result<Vec<BundleFile>, TreeError> {
        self.with_tree(progress, |tree| bundle.files(tree, &self.key, time))
    }

    fn with_tree<T>(
        &self,
        progress: &mut dyn FnMut(LogPosition),
        ask: impl FnOnce(&LogTree) -> Result<T, TreeError>,
    ) -> Result<T, TreeError> {
        let mut tree = self.tree.lock().unwrap_or_else(PoisonError::into_inner);
        tree.extend(&mut |position| {
            progress(position);
            ControlFlow::Continue(())
        })?;
        ask(&tree)
    }
}
