//! Messages recorded since the last write-back: up to millions, and every interaction asks for one.

use event_log::Message;
use rustc_hash::FxHashMap;

/// How many parts the keys are divided into.
const PARTS: usize = 16;

/// Messages by their keys.
///
/// One map of millions would double at once, while everybody waits. Here sixteen parts double one after the other: the first
/// gets half as many keys as the last, and those between a little more each than the one before. Keys are hashes, so
/// their highest bits are as good as any.
#[derive(Debug, Default)]
pub(super) struct Recent {
    parts: [FxHashMap<u128, Message>; PARTS],
}

impl Recent {
    /// What is known under this key.
    pub(super) fn get(&self, key: u128) -> Option<Message> {
        self.parts.get(part_of(key))?.get(&key).copied()
    }

    /// Remembers a message.
    pub(super) fn insert(&mut self, key: u128, message: Message) {
        if let Some(part) = self.parts.get_mut(part_of(key)) {
            part.insert(key, message);
        }
    }

    /// Takes all of them out, sorted by key, and lets go of their memory on the way.
    pub(super) fn take_sorted(&mut self) -> Vec<(u128, Message)> {
        let mut sorted = Vec::with_capacity(self.parts.iter().map(FxHashMap::len).sum());
        for part in &mut self.parts {
            let first = sorted.len();
            sorted.extend(std::mem::take(part));
            // Parts are ranges of keys, in order.
            if let Some(part) = sorted.get_mut(first..) {
                part.sort_unstable_by_key(|(key, _)| *key);
            }
        }
        sorted
    }
}

/// Which part holds this key.
fn part_of(key: u128) -> usize {
    PART_OF.get((key >> 120) as usize).map_or(0, |part| usize::from(*part))
}

/// The part of the keys with each highest byte.
#[expect(clippy::indexing_slicing, reason = "while compiling, where a panic is an error of the compiler")]
const PART_OF: [u8; 256] = {
    let mut part_of = [0; 256];
    let mut byte = 0;
    // A part weighs as many as there are, and its number: 16, 17 … 31, together 376.
    let (mut part, mut end) = (0, PARTS);
    while byte < part_of.len() {
        if byte * WEIGHTS >= end * part_of.len() {
            part += 1;
            end += PARTS + part as usize;
        }
        part_of[byte] = part;
        byte += 1;
    }
    part_of
};

const WEIGHTS: usize = PARTS * PARTS + PARTS * (PARTS - 1) / 2;

#[cfg(test)]
mod tests {
    use event_log::LogPosition;

    use super::*;

    fn message(position: u64) -> Message {
        Message { position: LogPosition(position), fingerprint: 7 }
    }

    #[test]
    fn messages_are_found_in_every_part_and_taken_in_order() {
        let mut recent = Recent::default();
        let keys: Vec<u128> = (0..65_536_u128).rev().map(|high| (high << 112) | (high * 7919 % 65_536)).collect();
        for (key, position) in keys.iter().zip(1..) {
            recent.insert(*key, message(position));
        }
        recent.insert(u128::MAX, message(1_000_000));
        assert!(keys.iter().zip(1..).all(|(key, position)| recent.get(*key) == Some(message(position))));
        assert_eq!([recent.get(u128::MAX), recent.get(1)], [Some(message(1_000_000)), None]);
        let taken = recent.take_sorted();
        assert_eq!(taken.len(), 65_537);
        assert!(taken.is_sorted_by(|one, other| one.0 < other.0));
        assert_eq!(recent.get(u128::MAX), None, "nothing is left");
    }

    #[test]
    fn parts_differ_in_size_so_that_they_grow_at_different_times() {
        let mut sizes = [0_usize; PARTS];
        for high in 0..65_536_u128 {
            sizes[part_of(high << 112)] += 1;
        }
        assert!(sizes.is_sorted(), "{sizes:?}");
        assert!(sizes[0] > 0 && sizes[PARTS - 1] > sizes[0] && sizes[PARTS - 1] < sizes[0] * 2, "{sizes:?}");
    }
}
