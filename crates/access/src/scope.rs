//! Which tenants a key reaches.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The word for all tenants, which can't be a tenant's name.
const ALL: &str = "*";
/// The longest name of a tenant, in bytes, as policies have it.
const NAME_BYTES_MAX: usize = 64;

/// Which tenants a key reaches: one, or all that there are and will be. Written as the name, or as `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Scope {
    /// The tenant of that name, which need not exist yet.
    One(String),
    /// All of them.
    All,
}

impl Scope {
    /// Whether the key reaches the tenant of that name.
    #[must_use]
    pub fn reaches(&self, tenant: &str) -> bool {
        match self {
            Self::One(name) => name == tenant,
            Self::All => true,
        }
    }

    /// The tenant's name; `None` for all tenants.
    #[must_use]
    pub fn one(&self) -> Option<&str> {
        match self {
            Self::One(name) => Some(name),
            Self::All => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.one().unwrap_or(ALL))
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::One(name) => name,
            Scope::All => ALL.to_owned(),
        }
    }
}

/// A word that is neither a tenant's name nor `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("tell the key's tenant; it must be 1 to {NAME_BYTES_MAX} of a-z, 0-9, - and _, or * for all tenants")]
pub struct BadScope;

impl TryFrom<String> for Scope {
    type Error = BadScope;

    fn try_from(word: String) -> Result<Self, BadScope> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if word == ALL {
            Ok(Self::All)
        } else if (1..=NAME_BYTES_MAX).contains(&word.len()) && word.chars().all(plain) {
            Ok(Self::One(word))
        } else {
            Err(BadScope)
        }
    }
}

impl FromStr for Scope {
    type Err = BadScope;

    fn from_str(word: &str) -> Result<Self, BadScope> {
        word.to_owned().try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_a_tenants_name_or_a_star_and_nothing_else() {
        for word in ["shop", "a", "shop-2_b", "*"] {
            assert_eq!(word.parse::<Scope>().unwrap().to_string(), word);
        }
        for word in ["", "Shop", "a b", "**", "*a", "shop/", &"a".repeat(65)] {
            assert_eq!(word.parse::<Scope>(), Err(BadScope), "{word}");
        }
    }

    #[test]
    fn a_key_of_one_tenant_reaches_no_other() {
        let one = Scope::One("shop".to_owned());
        assert!(one.reaches("shop") && !one.reaches("shop2") && !one.reaches("*") && !one.reaches(""));
        assert!(Scope::All.reaches("shop") && Scope::All.reaches("shop2"));
    }
}
