//! Rows in memory: those that changed since the last commit, and those that were used lately.

use rustc_hash::FxHashMap;

/// Rows by their key. Boxed, so that growing moves pointers only.
#[derive(Debug)]
pub(crate) struct Cache<S> {
    rows: FxHashMap<u64, Slot<S>>,
    changed: Vec<u64>,
    /// Counts uses, to tell which rows were used before others.
    uses: u64,
    /// The first use since the last commit.
    committed_at: u64,
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
        Self { rows: FxHashMap::default(), changed: Vec::new(), uses: 0, committed_at: 0 }
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
        self.uses += 1;
        let slot = Slot { state: Box::new(state), is_stored: false, is_changed: true, used: self.uses };
        &mut self.rows.entry(key).insert_entry(slot).into_mut().state
    }

    /// Takes in a row as it is stored.
    pub(crate) fn load(&mut self, key: u64, state: S) {
        self.uses += 1;
        let slot = Slot { state: Box::new(state), is_stored: true, is_changed: false, used: self.uses };
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
        self.uses += 1;
        slot.used = self.uses;
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
            let committed_at = self.committed_at;
            self.rows.retain(|_, slot| slot.used > committed_at);
        }
        if self.rows.len() > kept_max {
            self.rows.clear();
        }
        self.committed_at = self.uses;
    }

    /// Lets go of all but `keep` rows: first of those that are `done`, in either group of those that weren't used for
    /// longest. `write` gets the changed ones among them, in order of key, each with whether it is stored already.
    /// When it fails, all are still here. Returns how many have gone.
    pub(crate) fn make_room<E>(
        &mut self,
        keep: usize,
        done: impl Fn(&S) -> bool,
        mut write: impl FnMut(&S, bool) -> Result<(), E>,
    ) -> Result<usize, E> {
        let excess = self.rows.len().saturating_sub(keep);
        if excess == 0 {
            return Ok(0);
        }
        let mut by_use: Vec<_> = self.rows.iter().map(|(key, slot)| (!done(&slot.state), slot.used, *key)).collect();
        by_use.select_nth_unstable(excess - 1);
        let mut leaving: Vec<u64> = by_use.into_iter().take(excess).map(|(_, _, key)| key).collect();
        leaving.sort_unstable();
        for slot in leaving.iter().filter_map(|key| self.rows.get(key)).filter(|slot| slot.is_changed) {
            write(&slot.state, slot.is_stored)?;
        }
        for key in leaving {
            self.rows.remove(&key);
        }
        self.changed.retain(|key| self.rows.contains_key(key));
        Ok(excess)
    }

    /// Writes the changed rows that are `done`, in order of key, each with whether it is stored already. They stay, as
    /// stored ones, and `settle` is called for each.
    pub(crate) fn write_done<E>(
        &mut self,
        done: impl Fn(&S) -> bool,
        mut write: impl FnMut(&S, bool) -> Result<(), E>,
        settle: impl Fn(&mut S),
    ) -> Result<(), E> {
        self.changed.sort_unstable();
        let mut failed = None;
        let Self { rows, changed, .. } = self;
        changed.retain(|key| {
            let Some(slot) = rows.get_mut(key) else { return false };
            if failed.is_some() || !done(&slot.state) {
                return true;
            }
            if let Err(error) = write(&slot.state, slot.is_stored) {
                failed = Some(error);
                return true;
            }
            slot.is_stored = true;
            slot.is_changed = false;
            settle(&mut slot.state);
            false
        });
        failed.map_or(Ok(()), Err)
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
