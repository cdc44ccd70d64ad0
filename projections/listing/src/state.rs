//! What the model knows of a lead, a visitor and an orphan while records are folded. Knows no SQL.

pub(crate) mod attributes;
pub(crate) mod contact;
pub(crate) mod lead;
pub(crate) mod orphan;
pub(crate) mod visitor;

use lead_domain::{LeadId, VisitorId};

/// How many bits of a lead's key hold its ordinal. A visitor may have 10,000 leads at most.
const ORDINAL_BITS: u32 = 20;

/// A lead's row number: `visitor << 20 | ordinal`, so that a visitor's leads stand side by side and sort as ids do.
///
/// `None` for an ordinal of a million or a visitor of 8 billion thousand: no such id is ever made.
pub(crate) fn lead_key(lead: LeadId) -> Option<i64> {
    let visitor = i64::try_from(lead.visitor.0).ok()?;
    let fits = lead.ordinal < 1 << ORDINAL_BITS && visitor < 1 << (63 - ORDINAL_BITS);
    fits.then(|| visitor << ORDINAL_BITS | i64::from(lead.ordinal))
}

/// The lead of a row number.
pub(crate) fn lead_of(key: i64) -> LeadId {
    let ordinal = u32::try_from(key & ((1 << ORDINAL_BITS) - 1)).unwrap_or_default();
    LeadId { visitor: VisitorId((key >> ORDINAL_BITS).cast_unsigned()), ordinal }
}

/// A value and when it was true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dated<T> {
    /// The value.
    pub(crate) value: T,
    /// When the interaction happened that showed it, in milliseconds since the epoch.
    pub(crate) at: i64,
}

impl<T> Dated<T> {
    /// Another form of the value, of the same time.
    pub(crate) fn map<U>(self, form: impl FnOnce(T) -> U) -> Dated<U> {
        Dated { value: form(self.value), at: self.at }
    }
}

/// Puts a value in place of an older one. Of two values of one time the one recorded later counts. Whether the value,
/// not just its time, is another one now.
pub(crate) fn learn<T: Clone + PartialEq>(known: &mut Option<Dated<T>>, value: &T, at: i64) -> bool {
    match known {
        Some(dated) if dated.at > at => false,
        Some(dated) if dated.value == *value => {
            dated.at = at;
            false
        }
        Some(_) | None => {
            *known = Some(Dated { value: value.clone(), at });
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lead_keys_sort_as_ids_do_and_lead_back_to_them() {
        let lead = |visitor, ordinal| LeadId { visitor: VisitorId(visitor), ordinal };
        let ids = [lead(1, 1), lead(1, 9_999), lead(2, 1), lead(1 << 40, 3)];
        let keys: Vec<i64> = ids.iter().map(|id| lead_key(*id).unwrap()).collect();
        assert!(keys.is_sorted());
        assert!(keys.iter().zip(ids).all(|(key, id)| lead_of(*key) == id));
        assert_eq!(lead_key(lead(1, 1 << 20)), None);
        assert_eq!(lead_key(lead(u64::MAX, 1)), None);
    }
}
