//! The blocks of a slot file as bytes: one header, then one slot per key number.
//!
//! ```text
//! header    0       8        12      16         32      56    72      112        128
//!           magic   format   bytes   vault id   nonce   tag   zeros   checksum
//!           8       u32      u32     16         24      16    40      16
//!
//! slot      0       4        28      60         76      128
//!           state   nonce    key     tag        zeros
//!           4       24       32      16         52
//! ```
//!
//! Integers are big-endian. The key number `n` stands at byte `n × 128`, so a slot never crosses a sector and is
//! written as a whole or not at all. `bytes` is the length of a block, 128. `checksum` is the first 16 bytes of
//! BLAKE3(header bytes 0..112). The header's tag seals nothing at all with the master key, with header bytes 0..32 as
//! associated data: it tells the right master key from a wrong one.
//!
//! `state` is four zeros (empty; all else is zero too), `LIVE`, or `GONE` (destroyed; all else is zero). Four bytes,
//! so that no flipped bit makes one state of another. `key` is wrapped by XChaCha20-Poly1305 with the master key, a
//! random nonce, and `vault id | key number u64` as associated data: a slot can't be moved to another number or vault.

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::error::VaultError;
use crate::subject::SubjectKey;

/// The length of a slot and of the header, in bytes.
pub const SLOT_BYTES: usize = 128;
/// A slot or the header as bytes.
pub(crate) type Block = [u8; SLOT_BYTES];
/// A slot that no key was ever in.
pub(crate) const EMPTY: Block = [0; SLOT_BYTES];

const MAGIC: &[u8; 8] = b"LFVAULT\n";
/// The format that this program writes; it reads no newer one.
const FORMAT: u32 = 1;
const LIVE: &[u8; 4] = b"LIVE";
const GONE: &[u8; 4] = b"GONE";

/// What is in the place of a key number.
#[derive(Clone, Debug)]
pub enum KeySlot {
    /// No key was ever made with this number, or it was lost unsynced in a crash.
    Empty,
    /// The key.
    Live(SubjectKey),
    /// There was a key, which is gone for good.
    Destroyed,
}

/// What names a vault, apart from its keys.
#[derive(Clone, Copy)]
pub(crate) struct VaultId(pub(crate) [u8; 16]);

/// Random bytes for one slot.
#[derive(Clone, Copy)]
pub(crate) struct Nonce(pub(crate) [u8; 24]);

/// Joins parts to a block, with zeros up to its end.
fn block(parts: &[&[u8]]) -> Block {
    let mut block = EMPTY;
    let bytes = parts.iter().copied().flatten();
    block.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    block
}

/// The header of a new vault.
pub(crate) fn new_header(master: &XChaCha20Poly1305, id: VaultId, nonce: Nonce) -> Result<Block, VaultError> {
    let bytes = u32::try_from(SLOT_BYTES).unwrap_or_default().to_be_bytes();
    let named = [&MAGIC[..], &FORMAT.to_be_bytes(), &bytes, &id.0].concat();
    let tag = master.encrypt_in_place_detached(XNonce::from_slice(&nonce.0), &named, &mut []);
    let tag = tag.map_err(|_| VaultError::HeaderDamaged)?;
    let covered = block(&[&named, &nonce.0, &tag]);
    let (covered, _) = covered.split_at(112);
    Ok(block(&[covered, &checksum(covered)]))
}

/// Reads a header and checks that the master key is the vault's.
pub(crate) fn read_header(master: &XChaCha20Poly1305, header: &Block) -> Result<VaultId, VaultError> {
    let (covered, found) = header.split_at(112);
    let (named, rest) = covered.split_at(32);
    let (nonce, rest) = rest.split_at(24);
    let (tag, _) = rest.split_at(16);
    let format = header.get(8..12).and_then(|it| it.try_into().ok()).map(u32::from_be_bytes);
    let Some(format) = format.filter(|_| named.starts_with(MAGIC) && found == checksum(covered)) else {
        return Err(VaultError::HeaderDamaged);
    };
    if format > FORMAT {
        return Err(VaultError::NewerFormat { found: format, known: FORMAT });
    }
    let checked = master.decrypt_in_place_detached(XNonce::from_slice(nonce), named, &mut [], Tag::from_slice(tag));
    checked.map_err(|_| VaultError::WrongMaster)?;
    let id = named.last_chunk().ok_or(VaultError::HeaderDamaged)?;
    Ok(VaultId(*id))
}

fn checksum(covered: &[u8]) -> [u8; 16] {
    let hash = blake3::hash(covered);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// What binds a slot to its place.
fn place(id: VaultId, number: u64) -> [u8; 24] {
    let mut place = [0; 24];
    place.iter_mut().zip(id.0.into_iter().chain(number.to_be_bytes())).for_each(|(to, from)| *to = from);
    place
}

/// The slot that holds this key.
#[expect(clippy::expect_used, reason = "32 bytes are far below the cipher's limit of 256 GiB")]
pub(crate) fn live(master: &XChaCha20Poly1305, id: VaultId, number: u64, secret: (&Nonce, &[u8; 32])) -> Block {
    let (nonce, key) = secret;
    let mut wrapped = *key;
    let tag = master.encrypt_in_place_detached(XNonce::from_slice(&nonce.0), &place(id, number), &mut wrapped);
    block(&[LIVE, &nonce.0, &wrapped, &tag.expect("a key has 32 bytes")])
}

/// The slot of a destroyed key.
pub(crate) fn destroyed() -> Block {
    block(&[GONE])
}

/// Whether the slot is that of a destroyed key.
pub(crate) fn is_destroyed(slot: &Block) -> bool {
    slot.starts_with(GONE)
}

/// Reads the slot of a key number.
pub(crate) fn read(master: &XChaCha20Poly1305, id: VaultId, number: u64, slot: &Block) -> Result<KeySlot, VaultError> {
    if *slot == EMPTY {
        return Ok(KeySlot::Empty);
    }
    if *slot == destroyed() {
        return Ok(KeySlot::Destroyed);
    }
    let damaged = VaultError::SlotDamaged { number };
    let (state, rest) = slot.split_at(4);
    let (nonce, rest) = rest.split_at(24);
    let (wrapped, rest) = rest.split_at(32);
    let (tag, zeros) = rest.split_at(16);
    if state != LIVE || zeros.iter().any(|byte| *byte != 0) {
        return Err(damaged);
    }
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(wrapped);
    let opened = master.decrypt_in_place_detached(
        XNonce::from_slice(nonce),
        &place(id, number),
        key.as_mut_slice(),
        Tag::from_slice(tag),
    );
    opened.map_err(|_| damaged)?;
    Ok(KeySlot::Live(SubjectKey::from_bytes(&key)))
}
