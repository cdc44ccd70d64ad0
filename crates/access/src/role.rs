//! What a key may be used for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What the holder of a key is there for. It decides what the key may be used for: see [`Role::permissions`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sends events, and sees nothing.
    Publisher,
    /// Works on leads.
    Operator,
    /// Looks at leads and counts them.
    Analyst,
    /// Looks at everything, and changes nothing.
    Auditor,
    /// May do everything.
    Admin,
}

/// Something that a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Send events in.
    PublishEvents,
    /// See leads, orphans, visitors, duplicates and timelines.
    ReadLeads,
    /// Give commands, such as closing a lead.
    Act,
    /// Ask analytics queries.
    Analyse,
    /// See the policy's history, the quarantine and records.
    Audit,
    /// Adopt a policy, retry or discard what is in quarantine, rebuild projections.
    Configure,
    /// Hand out all that is held about a person, and erase it.
    Privacy,
    /// Create, list and revoke keys.
    ManageKeys,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::PublishEvents,
        Self::ReadLeads,
        Self::Act,
        Self::Analyse,
        Self::Audit,
        Self::Configure,
        Self::Privacy,
        Self::ManageKeys,
    ];
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Publisher, Self::Operator, Self::Analyst, Self::Auditor, Self::Admin];

    /// What a key of this role may be used for.
    #[must_use]
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{Act, Analyse, Audit, PublishEvents, ReadLeads};
        match self {
            Self::Publisher => &[PublishEvents],
            Self::Operator => &[ReadLeads, Act],
            Self::Analyst => &[ReadLeads, Analyse],
            Self::Auditor => &[ReadLeads, Analyse, Audit],
            Self::Admin => &Permission::ALL,
        }
    }

    /// Whether a key of this role may be used for it.
    #[must_use]
    pub fn allows(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// The role's word on the command line, in APIs and in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Operator => "operator",
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("tell the role; it must be publisher, operator, analyst, auditor or admin")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.name() == word).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::Permission::{Act, Analyse, Audit, Configure, ManageKeys, Privacy, PublishEvents, ReadLeads};
    use super::*;

    #[test]
    fn each_role_has_exactly_these_permissions() {
        let expected = [
            (Role::Publisher, vec![PublishEvents]),
            (Role::Operator, vec![ReadLeads, Act]),
            (Role::Analyst, vec![ReadLeads, Analyse]),
            (Role::Auditor, vec![ReadLeads, Analyse, Audit]),
            (Role::Admin, vec![PublishEvents, ReadLeads, Act, Analyse, Audit, Configure, Privacy, ManageKeys]),
        ];
        assert_eq!(expected.each_ref().map(|(role, _)| *role), Role::ALL);
        for (role, allowed) in expected {
            for permission in Permission::ALL {
                assert_eq!(role.allows(permission), allowed.contains(&permission), "{role} {permission:?}");
            }
        }
    }

    #[test]
    fn a_role_has_one_word_everywhere() {
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole));
    }
}
