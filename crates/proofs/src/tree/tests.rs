use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use event_log::{Batch, Chain, Header, MemoryLog, RecordKind};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// A log of so many records with facts and sealed parts of some lengths.
fn log_of(records: u64) -> Arc<MemoryLog> {
    let log = MemoryLog::new();
    add_records(&log, records);
    Arc::new(log)
}

fn add_records(log: &MemoryLog, records: u64) {
    let head = log.head();
    let mut batch = Batch::after(head);
    let mut chain: Chain = head.chain;
    for number in 0..records {
        let position = LogPosition(head.position.0 + number + 1);
        let facts = vec![7; (position.0 % 13) as usize + 1];
        let personal = vec![9; (position.0 % 5) as usize];
        let header = Header {
            codec: 1,
            kind: RecordKind(1),
            tenant: 1,
            position,
            visitor: 3,
            feed_sequence: 0,
            occurred_at: 5,
            received_at: 6,
            recorded_at: 7,
            previous: LogPosition(position.0 - 1),
            key: 1,
            facts_len: facts.len() as u32,
            personal_len: personal.len() as u32,
        };
        chain = Record::write(&header, chain, &facts, &mut batch.bytes);
        batch.bytes.extend_from_slice(&personal);
        batch.ends.push(batch.bytes.len());
    }
    batch.chain = chain;
    log.append(&batch).unwrap();
}

/// Another's tree, over the same leaves.
fn others_tree(log: &MemoryLog, size: u64) -> (MemoryBackedTree<Sha256, Vec<u8>>, Vec<Vec<u8>>) {
    let mut tree = MemoryBackedTree::new();
    let mut leaves = Vec::new();
    for position in 1..=size {
        let bytes = log.get(LogPosition(position)).unwrap().unwrap();
        let record = Record::read(&bytes).unwrap();
        let open = bytes.len() - record.personal.len();
        let leaf = [&bytes[..open], Sha256::digest(&bytes[open..]).as_slice()].concat();
        leaves.push(leaf.clone());
        tree.push(leaf);
    }
    (tree, leaves)
}

fn joined(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

fn whole(log: Arc<MemoryLog>) -> LogTree {
    let mut tree = LogTree::in_memory(log);
    tree.extend(&mut |_| ControlFlow::Continue(())).unwrap();
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn anothers_program_accepts_roots_and_proofs(size in 1_u64..1_500, index in any::<prop::sample::Index>(), earlier in any::<prop::sample::Index>()) {
        let log = log_of(size);
        let tree = whole(Arc::clone(&log));
        let (others, leaves) = others_tree(&log, size);
        let root = tree.root(size).unwrap();
        let others_root = others.root();
        prop_assert_eq!(root.0.as_slice(), others_root.as_bytes().as_slice());
        let index = index.index(size as usize);
        let path = tree.inclusion(LogPosition(index as u64 + 1), size).unwrap();
        let proof = InclusionProof::<Sha256>::try_from_bytes(joined(&path)).unwrap();
        prop_assert!(others.root().verify_inclusion(&leaves[index], index as u64, &proof).is_ok());
        let earlier = earlier.index(size as usize) as u64 + 1;
        let grown = tree.consistency(earlier, size).unwrap();
        let proof = ConsistencyProof::<Sha256>::try_from_bytes(joined(&grown)).unwrap();
        let old = RootHash::<Sha256>::new(tree.root(earlier).unwrap().0.into(), earlier);
        prop_assert!(others.root().verify_consistency(&old, &proof).is_ok());
    }
}

#[test]
fn tiles_on_disk_give_the_roots_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_of(700);
    let mut tree = LogTree::open(log.clone(), folder.path()).unwrap();
    tree.extend(&mut |_| ControlFlow::Continue(())).unwrap();
    drop(tree);
    add_records(&log, 1_000);
    let mut tree = LogTree::open(log.clone(), folder.path()).unwrap();
    assert_eq!(tree.tiles.count(), 2, "what was kept is not computed again");
    tree.extend(&mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(tree.tiles.count(), 6);
    assert_eq!(tree.root(1_700).unwrap(), whole(log.clone()).root(1_700).unwrap());
    assert_eq!(tree.root(700).unwrap(), LogTree::in_memory(log_of(700)).root(700).unwrap());
}

#[test]
fn a_torn_or_damaged_file_of_tiles_is_computed_again() {
    let log = log_of(1_700);
    let root = whole(log.clone()).root(1_700).unwrap();
    for damage in [0, 20, 100, 200, 247] {
        for cut in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut tree = LogTree::open(log.clone(), folder.path()).unwrap();
            tree.extend(&mut |_| ControlFlow::Continue(())).unwrap();
            drop(tree);
            let path = folder.path().join(crate::TILES_FILE);
            let mut bytes = std::fs::read(&path).unwrap();
            if cut {
                bytes.truncate(damage)
            } else {
                bytes[damage] ^= 16
            }
            std::fs::write(&path, &bytes).unwrap();
            let mut tree = LogTree::open(log.clone(), folder.path()).unwrap();
            assert!(tree.tiles.count() < 6, "{damage} {cut}");
            tree.extend(&mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(tree.root(1_700).unwrap(), root);
        }
    }
}

#[test]
fn every_changed_bit_of_a_file_of_tiles_is_found() {
    let log = log_of(600);
    let folder = tempfile::tempdir().unwrap();
    let mut tree = LogTree::open(log.clone(), folder.path()).unwrap();
    tree.extend(&mut |_| ControlFlow::Continue(())).unwrap();
    let roots: Vec<Hash> = (0..2).map(|tile| tree.tiles.root(0, tile).unwrap()).collect();
    let path = folder.path().join(crate::TILES_FILE);
    let whole = std::fs::read(&path).unwrap();
    assert_eq!(crate::find_tile_faults(folder.path(), &roots).unwrap(), []);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, bytes).unwrap();
        assert_ne!(crate::find_tile_faults(folder.path(), &roots).unwrap(), [], "bit {bit}");
    }
}

#[test]
fn nothing_is_proven_about_records_that_are_not_there() {
    let tree = whole(log_of(10));
    for (position, size) in [(0, 10), (11, 10), (6, 5), (3, 11)] {
        assert!(matches!(tree.inclusion(LogPosition(position), size), Err(TreeError::OutOfRange { .. })));
    }
    for (earlier, size) in [(0, 10), (11, 10), (3, 11)] {
        assert!(matches!(tree.consistency(earlier, size), Err(TreeError::OutOfRange { .. })));
    }
    assert_eq!(whole(log_of(0)).root(0).unwrap(), Hash::of_nothing());
}
