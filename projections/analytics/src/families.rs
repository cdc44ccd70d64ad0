//! Who was merged into whom: what is needed to hand leads over. Knows visitors who were ever merged, and no others.

use lead_domain::VisitorId;
use rustc_hash::FxHashMap;

/// The merges that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Families {
    absorbed: FxHashMap<u64, Vec<u64>>,
    merged_into: FxHashMap<u64, u64>,
    /// Since the last commit, in order.
    undo: Vec<Undo>,
}

/// What takes a change back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Undo {
    Unmerge(VisitorId),
    Merge(VisitorId, VisitorId),
}

impl Families {
    /// A visitor and everyone who was merged into it, directly or not.
    pub(crate) fn members(&self, visitor: VisitorId) -> Vec<VisitorId> {
        let mut members = vec![visitor.0];
        let mut place = 0;
        while let Some(member) = members.get(place).copied() {
            members.extend(self.absorbed.get(&member).into_iter().flatten());
            place += 1;
        }
        members.into_iter().map(VisitorId).collect()
    }

    pub(crate) fn merge(&mut self, survivor: VisitorId, absorbed: VisitorId) {
        self.join(survivor, absorbed);
        self.undo.push(Undo::Unmerge(absorbed));
    }

    pub(crate) fn unmerge(&mut self, restored: VisitorId) {
        if let Some(survivor) = self.part(restored) {
            self.undo.push(Undo::Merge(survivor, restored));
        }
    }

    /// What was changed stays.
    pub(crate) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Takes back what was changed since the last commit.
    pub(crate) fn discard(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Unmerge(absorbed) => {
                    self.part(absorbed);
                }
                Undo::Merge(survivor, restored) => self.join(survivor, restored),
            }
        }
    }

    fn join(&mut self, survivor: VisitorId, absorbed: VisitorId) {
        self.merged_into.insert(absorbed.0, survivor.0);
        let members = self.absorbed.entry(survivor.0).or_default();
        if !members.contains(&absorbed.0) {
            members.push(absorbed.0);
        }
    }

    fn part(&mut self, restored: VisitorId) -> Option<VisitorId> {
        let survivor = self.merged_into.remove(&restored.0)?;
        if let Some(members) = self.absorbed.get_mut(&survivor) {
            members.retain(|member| *member != restored.0);
        }
        Some(VisitorId(survivor))
    }
}
