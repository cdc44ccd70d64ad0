//! Keys are kept, found, refused and destroyed as promised.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use key_vault::{
    KEY_NUMBER_MAX, KeySlot, KeyVault, MASTER_FILE, MasterKey, OpenError, SEAL_OVERHEAD, SLOT_BYTES, SubjectKey,
    VAULT_FILE, VaultError,
};
use tempfile::{TempDir, tempdir};

const CHAIN: [u8; 32] = [9; 32];

fn master(byte: u8) -> MasterKey {
    MasterKey::from_bytes([byte; 32])
}

fn open(folder: &TempDir) -> KeyVault {
    KeyVault::open(folder.path(), master(1)).unwrap()
}

fn live(vault: &KeyVault, number: u64) -> SubjectKey {
    match vault.get(number).unwrap() {
        KeySlot::Live(key) => key,
        KeySlot::Empty | KeySlot::Destroyed => panic!("key {number} is not there"),
    }
}

fn sealed(key: &SubjectKey, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    key.seal_into(&CHAIN, text, &mut out);
    out
}

fn same(one: &SubjectKey, other: &SubjectKey) -> bool {
    other.open(&CHAIN, &sealed(one, b"text")).is_ok()
}

fn vaults() -> [(KeyVault, Option<TempDir>); 2] {
    let folder = tempdir().unwrap();
    [(open(&folder), Some(folder)), (KeyVault::in_memory(master(1)), None)]
}

#[test]
fn created_keys_are_found_again_by_their_number() {
    for (vault, folder) in vaults() {
        let numbers = [7, 1, 2, 3, 1_000_000, 8];
        let keys = vault.create_many(&numbers).unwrap();
        vault.sync().unwrap();
        let vault = folder.as_ref().map_or(vault, open);
        for (number, key) in numbers.iter().zip(&keys) {
            assert!(same(key, &live(&vault, *number)), "{number}");
        }
        assert!(!same(&keys[0], &keys[1]));
        for number in [4, 999_999, 1_000_001, KEY_NUMBER_MAX] {
            assert!(matches!(vault.get(number).unwrap(), KeySlot::Empty), "{number}");
        }
    }
}

#[test]
fn a_key_that_no_record_uses_is_replaced() {
    for (vault, _folder) in vaults() {
        let old = vault.create_many(&[3]).unwrap();
        let new = vault.create_many(&[2, 3]).unwrap();
        assert!(same(&new[1], &live(&vault, 3)));
        assert!(!same(&old[0], &live(&vault, 3)));
    }
}

#[test]
fn a_destroyed_key_stays_destroyed() {
    for (vault, folder) in vaults() {
        vault.create_many(&[1, 2, 3]).unwrap();
        vault.destroy(2).unwrap();
        vault.destroy(9).unwrap();
        let vault = folder.as_ref().map_or(vault, open);
        for number in [2, 9] {
            assert!(matches!(vault.get(number).unwrap(), KeySlot::Destroyed));
            assert!(
                matches!(vault.create_many(&[number]), Err(VaultError::Destroyed { number: said }) if said == number)
            );
        }
        let before = live(&vault, 1);
        assert!(matches!(vault.create_many(&[1, 2]), Err(VaultError::Destroyed { number: 2 })));
        assert!(same(&before, &live(&vault, 1)));
        live(&vault, 3);
    }
}

#[test]
fn keys_between_new_ones_stay_what_they_are() {
    for (vault, _folder) in vaults() {
        let kept = vault.create_many(&[3, 7]).unwrap();
        vault.destroy(5).unwrap();
        let new = vault.create_many(&[8, 2, 4, 6]).unwrap();
        assert!(same(&kept[0], &live(&vault, 3)) && same(&kept[1], &live(&vault, 7)));
        assert!(same(&new[0], &live(&vault, 8)) && same(&new[1], &live(&vault, 2)));
        assert!(matches!(vault.get(5).unwrap(), KeySlot::Destroyed));
        assert!(matches!(vault.get(9).unwrap(), KeySlot::Empty));
    }
}

#[test]
fn destroying_leaves_nothing_of_the_key_in_the_file() {
    let folder = tempdir().unwrap();
    let vault = open(&folder);
    vault.create_many(&[1]).unwrap();
    vault.destroy(1).unwrap();
    let bytes = fs::read(folder.path().join(VAULT_FILE)).unwrap();
    assert_eq!(&bytes[SLOT_BYTES..SLOT_BYTES + 4], b"GONE");
    assert!(bytes[SLOT_BYTES + 4..].iter().all(|byte| *byte == 0));
}

#[test]
fn numbers_out_of_range_or_given_twice_are_refused() {
    for (vault, _folder) in vaults() {
        for number in [0, KEY_NUMBER_MAX + 1, u64::MAX] {
            assert!(matches!(vault.get(number), Err(VaultError::OutOfRange { .. })));
            assert!(matches!(vault.create_many(&[1, number]), Err(VaultError::OutOfRange { .. })));
            assert!(matches!(vault.destroy(number), Err(VaultError::OutOfRange { .. })));
        }
        assert!(matches!(vault.create_many(&[4, 1, 4]), Err(VaultError::Repeated { number: 4 })));
        assert!(matches!(vault.get(1).unwrap(), KeySlot::Empty));
        assert!(vault.create_many(&[]).unwrap().is_empty());
        vault.create_many(&[KEY_NUMBER_MAX]).unwrap();
    }
}

#[test]
fn another_master_key_is_refused() {
    let folder = tempdir().unwrap();
    open(&folder).create_many(&[1]).unwrap();
    let error = KeyVault::open(folder.path(), master(2)).unwrap_err();
    assert!(matches!(error, VaultError::WrongMaster));
    assert_eq!(
        error.to_string(),
        "open the key vault: the master key is not the one that its keys are wrapped with. Give the right one"
    );
}

#[test]
fn a_master_key_is_made_once_and_read_afterwards() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("vault");
    let made = MasterKey::in_folder(&path).unwrap();
    let key = KeyVault::open(&path, made).unwrap().create_many(&[1]).unwrap();
    let text = fs::read_to_string(path.join(MASTER_FILE)).unwrap();
    assert_eq!(text.len(), 65);

    let vault = KeyVault::open(&path, MasterKey::in_folder(&path).unwrap()).unwrap();
    assert!(same(&key[0], &live(&vault, 1)));
    let given = KeyVault::open(&path, MasterKey::from_hex(&text.to_uppercase()).unwrap()).unwrap();
    assert!(same(&key[0], &live(&given, 1)));

    fs::remove_file(path.join(MASTER_FILE)).unwrap();
    let error = MasterKey::in_folder(&path).unwrap_err();
    assert!(matches!(error, VaultError::MasterMissing { .. }));
    assert!(!path.join(MASTER_FILE).exists());
}

#[test]
fn a_malformed_master_key_is_refused() {
    let digits = "0f".repeat(32);
    MasterKey::from_hex(&format!("  {digits}\n")).unwrap();
    for wrong in ["", &digits[1..], &format!("{digits}0"), &digits.replacen('f', "g", 1), &"é".repeat(32)] {
        assert!(matches!(MasterKey::from_hex(wrong), Err(VaultError::MasterMalformed)), "{wrong}");
    }
    let folder = tempdir().unwrap();
    fs::write(folder.path().join(MASTER_FILE), [0xFF; 64]).unwrap();
    assert!(matches!(MasterKey::in_folder(folder.path()), Err(VaultError::MasterMalformed)));
}

#[test]
fn files_are_for_their_owner_alone() {
    let folder = tempdir().unwrap();
    KeyVault::open(folder.path(), MasterKey::in_folder(folder.path()).unwrap()).unwrap();
    for file in [MASTER_FILE, VAULT_FILE] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// Flips each bit of the block in turn and tells what `check` says of each.
fn with_each_bit_flipped(file: &File, block: u64, mut check: impl FnMut(usize)) {
    let mut bytes = [0; SLOT_BYTES];
    let offset = block * SLOT_BYTES as u64;
    file.read_exact_at(&mut bytes, offset).unwrap();
    for bit in 0..SLOT_BYTES * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        file.write_all_at(&flipped, offset).unwrap();
        check(bit);
    }
    file.write_all_at(&bytes, offset).unwrap();
}

#[test]
fn every_flipped_bit_of_a_slot_or_the_header_is_found() {
    let folder = tempdir().unwrap();
    let vault = open(&folder);
    vault.create_many(&[1, 3, 4]).unwrap();
    vault.destroy(3).unwrap();
    let file = OpenOptions::new().read(true).write(true).open(folder.path().join(VAULT_FILE)).unwrap();
    for number in [1, 2, 3] {
        with_each_bit_flipped(&file, number, |bit| {
            let found = vault.get(number);
            assert!(matches!(found, Err(VaultError::SlotDamaged { number: said }) if said == number), "{number} {bit}");
        });
        vault.get(number).unwrap();
    }
    with_each_bit_flipped(&file, 0, |bit| {
        let opened = KeyVault::open(folder.path(), master(1));
        assert!(matches!(opened, Err(VaultError::HeaderDamaged)), "{bit}");
    });
    open(&folder);
}

#[test]
fn a_slot_moved_to_another_number_is_damaged() {
    let folder = tempdir().unwrap();
    let vault = open(&folder);
    vault.create_many(&[1]).unwrap();
    let path = folder.path().join(VAULT_FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_within(SLOT_BYTES..);
    fs::write(&path, bytes).unwrap();
    live(&vault, 1);
    assert!(matches!(vault.get(2), Err(VaultError::SlotDamaged { number: 2 })));
}

#[test]
fn a_torn_last_slot_is_empty_and_can_be_made_again() {
    let folder = tempdir().unwrap();
    let path = folder.path().join(VAULT_FILE);
    for torn in [1, 40, SLOT_BYTES - 1] {
        open(&folder).create_many(&[1, 2]).unwrap();
        let length = (2 * SLOT_BYTES + torn) as u64;
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let vault = open(&folder);
        live(&vault, 1);
        assert!(matches!(vault.get(2).unwrap(), KeySlot::Empty));
        let keys = vault.create_many(&[2]).unwrap();
        assert!(same(&keys[0], &live(&vault, 2)));
    }
}

#[test]
fn a_truncated_header_is_damaged() {
    let folder = tempdir().unwrap();
    open(&folder);
    OpenOptions::new().write(true).open(folder.path().join(VAULT_FILE)).unwrap().set_len(100).unwrap();
    assert!(matches!(KeyVault::open(folder.path(), master(1)), Err(VaultError::HeaderDamaged)));
}

#[test]
fn a_sealed_part_opens_in_its_place_alone() {
    let vault = KeyVault::in_memory(master(1));
    let keys = vault.create_many(&[1, 2]).unwrap();
    for text in [&b""[..], b"a name", &[7; 5_000]] {
        let mut out = b"in front".to_vec();
        keys[0].seal_into(&CHAIN, text, &mut out);
        let sealed = out.strip_prefix(b"in front").unwrap();
        assert_eq!(sealed.len(), text.len() + SEAL_OVERHEAD);
        assert_eq!(keys[0].open(&CHAIN, sealed).unwrap(), text);
        assert_eq!(keys[1].open(&CHAIN, sealed), Err(OpenError));
        let mut elsewhere = CHAIN;
        elsewhere[31] ^= 1;
        assert_eq!(keys[0].open(&elsewhere, sealed), Err(OpenError));
        assert_eq!(keys[0].open(&CHAIN, &sealed[1..]), Err(OpenError));
    }
    assert_eq!(keys[0].open(&CHAIN, b"short"), Err(OpenError));
}

#[test]
fn every_flipped_bit_of_a_sealed_part_is_found() {
    let key = SubjectKey::from_bytes(&[3; 32]);
    let sealed = sealed(&key, b"a name and an address");
    for bit in 0..sealed.len() * 8 {
        let mut flipped = sealed.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.open(&CHAIN, &flipped), Err(OpenError), "bit {bit}");
    }
}

#[test]
fn a_sealed_part_is_these_bytes() {
    let sealed = sealed(&SubjectKey::from_bytes(&[3; 32]), b"a name");
    let hex: String = sealed.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "652803bae3184161fcff1a6efcb9086045ade05ed048");
    let hex: String =
        KeyVault::in_memory(master(1)).identifier_key().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "e8978d7491224c7dfa8b7a6ef1873f59a35c3e673aed5135963a93c1d0bd4224");
}

#[test]
fn identifier_keys_differ_by_master_key_alone() {
    let folder = tempdir().unwrap();
    assert_eq!(open(&folder).identifier_key(), KeyVault::in_memory(master(1)).identifier_key());
    assert_ne!(open(&folder).identifier_key(), KeyVault::in_memory(master(2)).identifier_key());
    assert_ne!(open(&folder).identifier_key(), [1; 32]);
}

#[test]
fn debug_forms_show_no_key() {
    let master = MasterKey::from_bytes([0xAB; 32]);
    let vault = KeyVault::in_memory(master.clone());
    let key = SubjectKey::from_bytes(&[0xCD; 32]);
    assert_eq!(format!("{master:?} {key:?}"), "MasterKey(..) SubjectKey(..)");
    assert_eq!(format!("{:?}", KeySlot::Live(key)), "Live(SubjectKey(..))");
    assert_eq!(format!("{vault:?}"), "KeyVault { path: \"memory\", .. }");
}
