//! A cache of texts that never holds more than twice its capacity and forgets what was not asked for lately.
//!
//! Two generations: a full young one becomes the old one, and what is asked for in the old one moves to the young one.

use std::collections::HashMap;

use compact_str::CompactString;

pub(crate) struct BoundedCache<V> {
    young: HashMap<CompactString, V>,
    old: HashMap<CompactString, V>,
    capacity: usize,
}

impl<V: Clone> BoundedCache<V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), capacity }
    }

    /// The value of `key`, made by `make` where it is not at hand.
    pub(crate) fn get_or_make(&mut self, key: &str, make: impl FnOnce(&str) -> V) -> V {
        if let Some(value) = self.young.get(key) {
            return value.clone();
        }
        let value = self.old.remove(key).unwrap_or_else(|| make(key));
        if self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(CompactString::new(key), value.clone());
        value
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let mut cache = BoundedCache::new(10);
        let mut made = 0;
        for number in 0..1_000 {
            cache.get_or_make("often", |_| made += 1);
            cache.get_or_make(&number.to_string(), |_| ());
            assert!(cache.len() <= 20);
        }
        assert_eq!(made, 1);
    }
}
