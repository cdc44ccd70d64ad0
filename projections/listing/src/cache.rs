//! Rows in memory: those that changed since the last commit, and those that were used lately.

use rustc_hash::FxHashMap;

/// Rows by their key. Boxed, so that growing moves pointers only.
#[derive(Debug)]
pub(crate) struct Cache<S> {
    rows: FxHashMap<u64, Slot<S>>,
    changed: Vec<u64>,
    /// Counts commits, to tell which rows were used since the last one.
    generation: u64,
}

#[derive(Debug)]
struct Slot<S> {
    state: Box<S>,
    is_stored: bool,
    is_changed: bool,
    used: u64,
}

impl<S> Default for Cache<S> {
    fn default() -> Self {
        Self { rows: FxHashMap::default(), changed: Vec::new(), generation: 0 }
    }
}

impl<S> Cache<S> {
    /// How many rows are in memory.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many of them must be written.
    pub(crate) const fn changed_len(&self) -> usize {
        self.changed.len()
    }

    /// Takes in a row that is not stored yet.
    pub(crate) fn begin(&mut self, key: u64, state: S) -> &mut S {
        self.changed.push(key);
        let slot = Slot { state: Box::new(state), is_stored: false, is_changed: true, used: self.generation };
        &mut self.rows.entry(key).insert_entry(slot).into_mut().state
    }

    /// Takes in a row as it is stored.
    pub(crate) fn load(&mut self, key: u64, state: S) {
        let slot = Slot { state: Box::new(state), is_stored: true, is_changed: false, used: self.generation };
        self.rows.insert(key, slot);
    }

    /// A row in memory, to read.
    pub(crate) fn get(&self, key: u64) -> Option<&S> {
        self.rows.get(&key).map(|slot| &*slot.state)
    }

    /// A row in memory, to change.
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut S> {
        let slot = self.rows.get_mut(&key)?;
        if !slot.is_changed {
            slot.is_changed = true;
            self.changed.push(key);
        }
        slot.used = self.generation;
        Some(&mut slot.state)
    }

    /// The rows to write, in order of key, each with whether it is stored already.
    pub(crate) fn changed(&mut self) -> impl Iterator<Item = (&S, bool)> {
        self.changed.sort_unstable();
        self.changed.iter().filter_map(|key| self.rows.get(key)).map(|slot| (&*slot.state, slot.is_stored))
    }

    /// Everything is stored now. `settle` is called for each row that was written; of the rest only rows used since the
    /// last commit stay, and only if they are no more than `kept_max`.
    pub(crate) fn committed(&mut self, kept_max: usize, settle: impl Fn(&mut S)) {
        for key in self.changed.drain(..) {
            if let Some(slot) = self.rows.get_mut(&key) {
                slot.is_stored = true;
                slot.is_changed = false;
                settle(&mut slot.state);
            }
        }
        if self.rows.len() > kept_max {
            let generation = self.generation;
            self.rows.retain(|_, slot| slot.used == generation);
        }
        if self.rows.len() > kept_max {
            self.rows.clear();
        }
        self.generation += 1;
    }

    /// Forgets rows that are stored, if there are more than `kept_max` in memory. Gives the memory back.
    pub(crate) fn shrink(&mut self, kept_max: usize) {
        if self.rows.len() > kept_max {
            self.rows.retain(|_, slot| slot.is_changed);
            self.rows.shrink_to_fit();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.changed.clear();
    }
}
