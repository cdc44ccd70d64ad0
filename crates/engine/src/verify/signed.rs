//! What was signed, against the log as it is: every signed head, and the kept tiles of the tree.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use event_log::{Chain, LogError, LogPosition, Record};
use proofs::{LogTree, SigningKey, TileFault, TreeError, TreeHead, VerifyingKey, find_tile_faults};

use super::{Finding, REPAIR, RESTORE};
use crate::error::EngineError;
use crate::heads::RecordedHead;
use crate::options::Parts;

/// What was found about signed heads.
#[derive(Default)]
pub(super) struct Signed {
    pub(super) heads: u64,
    pub(super) findings: Vec<Finding>,
}

/// Computes the tree anew and compares. Damaged records are left to the walk along the chain.
pub(super) fn verify(parts: &Parts, newest: LogPosition, tiles: Option<&Path>) -> Result<Signed, EngineError> {
    let mut tree = LogTree::in_memory(Arc::clone(&parts.log));
    match tree.extend(&mut |_| ControlFlow::Continue(())) {
        Err(TreeError::Log(LogError::Damaged { .. } | LogError::Missing { .. })) => return Ok(Signed::default()),
        Err(TreeError::Log(error)) => return Err(error.into()),
        Err(error @ (TreeError::Tiles(_) | TreeError::OutOfRange { .. })) => return Err(unread(error)),
        Ok(()) => {}
    }
    let faults = tiles.map(|folder| find_tile_faults(folder, tree.tiles())).transpose();
    let faults = faults.map_err(|error| unread(error.into()))?.unwrap_or_default();
    let mut found = Signed { heads: 0, findings: faults.into_iter().map(of_tile).collect() };
    let key = SigningKey::from_seed(&parts.vault.signing_seed());
    match parts.signed_heads(newest, usize::MAX) {
        Ok(heads) => {
            found.heads = heads.len() as u64;
            found.findings.extend(heads.iter().filter_map(|head| of_head(parts, head, &tree, key.public())));
        }
        Err(EngineError::Log(LogError::Missing { position })) => found.findings.push(Finding {
            place: format!("position {position}"),
            fault: "no signed head stands there, though one is said to".to_owned(),
            cure: REPAIR,
        }),
        // The walk along the chain says what is wrong with the record.
        Err(error) if error.is_damage() => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

fn unread(source: TreeError) -> EngineError {
    EngineError::Log(LogError::Storage { doing: "hash the records of", source: Box::new(source) })
}

fn of_tile(TileFault { tile, fault }: TileFault) -> Finding {
    let place = tile.map_or_else(|| "proofs/tiles".to_owned(), |tile| format!("proofs/tiles, tile {tile}"));
    Finding { place, fault: fault.to_owned(), cure: REPAIR }
}

fn of_head(parts: &Parts, head: &RecordedHead, tree: &LogTree, key: &VerifyingKey) -> Option<Finding> {
    let fault = match TreeHead::open(&head.note, key) {
        Err(error) => format!("cannot {error}"),
        Ok(signed) if is_of(&signed, head.size, tree, parts) => return None,
        Ok(_) => "the log in front of the signed head is not the one that was signed".to_owned(),
    };
    Some(Finding { place: format!("position {}", head.position), fault, cure: RESTORE })
}

fn is_of(signed: &TreeHead, size: u64, tree: &LogTree, parts: &Parts) -> bool {
    let root = tree.root(signed.size);
    let is_root = root.is_ok_and(|root| root == signed.root);
    signed.size == size && is_root && chain_at(parts, size) == Some(signed.chain)
}

fn chain_at(parts: &Parts, size: u64) -> Option<Chain> {
    if size == 0 {
        return Some(Chain::default());
    }
    let bytes = parts.log.get(LogPosition(size)).ok()??;
    Record::read(&bytes).ok().map(|record| record.chain)
}
