//! Ids of tenants, visitors, leads, interactions and orders, all derived from what caused them.
//!
//! Visitors are numbered in the order in which the log first met them, so a smaller number is an older visitor. A lead's
//! id is the visitor that it was opened for and its ordinal there: finding a lead needs no index. An interaction's id is
//! the position of its record in the log.

use std::fmt;
use std::str::FromStr;

/// A tenant's number, in the order in which their first policies were adopted; from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub u32);

/// A visitor's number, in order of appearance in the log; from 1. Shown as `V42`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VisitorId(pub u64);

/// A lead's id: the visitor that it was opened for and its ordinal there, from 1. Shown as `V42-1`.
///
/// It stays the same when the visitor is merged into another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeadId {
    /// The visitor that the lead was opened for.
    pub visitor: VisitorId,
    /// From 1, in order of opening.
    pub ordinal: u32,
}

/// The log position of an interaction's record, from 1. Shown as `I1042`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InteractionId(pub u64);

/// Keyed hash of a tenant and one of its order ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(pub u128);

/// A text that is not an id of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}")]
pub struct ParseIdError {
    /// What would have been right, with an example.
    pub expected: &'static str,
}

impl fmt::Display for VisitorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V{}", self.0)
    }
}

impl fmt::Display for LeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.visitor, self.ordinal)
    }
}

impl fmt::Display for InteractionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{}", self.0)
    }
}

/// The number after `prefix` (either case): digits only, at least 1.
fn number_after(text: &str, prefix: char) -> Option<u64> {
    let mut rest = text.chars();
    if !rest.next()?.eq_ignore_ascii_case(&prefix) {
        return None;
    }
    let digits = rest.as_str();
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number > 0)
}

impl FromStr for VisitorId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        number_after(text, 'V').map(Self).ok_or(ParseIdError { expected: "a visitor id such as V42" })
    }
}

impl FromStr for LeadId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let parse = || {
            let (visitor, ordinal) = text.split_once('-')?;
            let plain = ordinal.bytes().all(|byte| byte.is_ascii_digit());
            let ordinal = ordinal.parse().ok().filter(|ordinal| plain && *ordinal > 0)?;
            Some(Self { visitor: visitor.parse().ok()?, ordinal })
        };
        parse().ok_or(ParseIdError { expected: "a lead id such as V42-1" })
    }
}

impl FromStr for InteractionId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        number_after(text, 'I').map(Self).ok_or(ParseIdError { expected: "an interaction id such as I1042" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_show_and_refuse_the_rest() {
        let lead = LeadId { visitor: VisitorId(42), ordinal: 7 };
        assert_eq!(lead.to_string(), "V42-7");
        assert_eq!("v42-7".parse(), Ok(lead));
        assert_eq!("I9".parse(), Ok(InteractionId(9)));
        for wrong in ["", "V", "42", "V0", "V-1", "V42-", "V42-0", "V+1", "V1-+1", "V99999999999999999999", "é1"] {
            assert!(wrong.parse::<LeadId>().is_err(), "{wrong}");
            assert!(wrong.parse::<VisitorId>().is_err(), "{wrong}");
        }
    }
}
