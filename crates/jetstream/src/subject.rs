//! Names of streams and subjects, and what a subject says: whose message it is, and from which channel.
//!
//! The tenant is taken from here only. A server lets a publisher write to its own tenant's subjects, but can't see into
//! payloads.

use std::fmt;

use thiserror::Error;

/// The stream of what comes in: interactions and commands.
pub const LEADFOLD_IN: &str = "LEADFOLD_IN";
/// The stream of what goes out: lead events.
pub const LEADFOLD_OUT: &str = "LEADFOLD_OUT";

const INTERACTIONS: &str = "leadfold.in.";
const COMMANDS: &str = "leadfold.cmd.";
const EVENTS: &str = "leadfold.out.";

/// What the stream [`LEADFOLD_IN`] takes.
pub(crate) const SUBJECTS_IN: [&str; 2] = ["leadfold.in.>", "leadfold.cmd.>"];
/// What the stream [`LEADFOLD_OUT`] takes.
pub(crate) const SUBJECTS_OUT: [&str; 1] = ["leadfold.out.>"];

/// The longest name of a tenant, in bytes.
const TENANT_BYTES_MAX: usize = 64;

/// A subject with its parts. Displays as the subject; tenants and channels are checked on parsing only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// `leadfold.in.<tenant>.<channel>`
    Interaction {
        /// Whose.
        tenant: &'a str,
        /// From where: everything behind the tenant, which may have further dots.
        channel: &'a str,
    },
    /// `leadfold.cmd.<tenant>`
    Command {
        /// Whose.
        tenant: &'a str,
    },
    /// `leadfold.out.<tenant>.<event>`
    Event {
        /// Whose.
        tenant: &'a str,
        /// The event's type.
        event: &'a str,
    },
    /// None of these, or without a valid tenant.
    Other(&'a str),
}

/// Why a subject can't be published to.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SubjectError {
    /// No such tenant can be.
    #[error("address a tenant: its name must be 1 to {TENANT_BYTES_MAX} of a-z, 0-9, - and _")]
    Tenant,
    /// A part that subjects can't have.
    #[error("address a {part}: it must have no white space, * or >, and no empty part between dots")]
    Part {
        /// Channel or event.
        part: &'static str,
    },
}

impl<'a> Subject<'a> {
    /// Reads a subject.
    #[must_use]
    pub fn parse(subject: &'a str) -> Self {
        Self::known(subject).unwrap_or(Self::Other(subject))
    }

    fn known(subject: &'a str) -> Option<Self> {
        let found = if let Some(rest) = subject.strip_prefix(INTERACTIONS) {
            let (tenant, channel) = rest.split_once('.')?;
            Self::Interaction { tenant, channel }
        } else if let Some(rest) = subject.strip_prefix(EVENTS) {
            let (tenant, event) = rest.split_once('.')?;
            Self::Event { tenant, event }
        } else {
            Self::Command { tenant: subject.strip_prefix(COMMANDS)? }
        };
        found.check().ok().map(|()| found)
    }

    /// The tenant, if there is one.
    #[must_use]
    pub const fn tenant(&self) -> Option<&'a str> {
        match *self {
            Self::Interaction { tenant, .. } | Self::Command { tenant } | Self::Event { tenant, .. } => Some(tenant),
            Self::Other(_) => None,
        }
    }

    /// The subject to publish to.
    ///
    /// # Errors
    /// When a part has characters that a subject can't have, so that nobody reaches another tenant by a clever name.
    pub fn to_published(self) -> Result<String, SubjectError> {
        self.check().map(|()| self.to_string())
    }

    fn check(&self) -> Result<(), SubjectError> {
        if self.tenant().is_some_and(|tenant| !is_tenant(tenant)) {
            return Err(SubjectError::Tenant);
        }
        let (part, text) = match *self {
            Self::Interaction { channel, .. } => ("channel", channel),
            Self::Event { event, .. } => ("event", event),
            Self::Other(subject) => ("subject", subject),
            Self::Command { .. } => return Ok(()),
        };
        let plain = |token: &str| {
            !token.is_empty() && !token.chars().any(|c| c.is_whitespace() || c.is_control() || "*>".contains(c))
        };
        if text.split('.').all(plain) { Ok(()) } else { Err(SubjectError::Part { part }) }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interaction { tenant, channel } => write!(f, "{INTERACTIONS}{tenant}.{channel}"),
            Self::Command { tenant } => write!(f, "{COMMANDS}{tenant}"),
            Self::Event { tenant, event } => write!(f, "{EVENTS}{tenant}.{event}"),
            Self::Other(subject) => f.write_str(subject),
        }
    }
}

fn is_tenant(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    !name.is_empty() && name.len() <= TENANT_BYTES_MAX && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_says_tenant_and_channel_or_is_other() {
        let long = "a".repeat(65);
        let too_long = format!("leadfold.cmd.{long}");
        let rows: [(&str, Subject<'_>); 12] = [
            ("leadfold.in.shop.web", Subject::Interaction { tenant: "shop", channel: "web" }),
            ("leadfold.in.shop.web.de", Subject::Interaction { tenant: "shop", channel: "web.de" }),
            ("leadfold.cmd.shop-2", Subject::Command { tenant: "shop-2" }),
            ("leadfold.out.a_b.LeadOpened", Subject::Event { tenant: "a_b", event: "LeadOpened" }),
            ("leadfold.in.shop", Subject::Other("leadfold.in.shop")),
            ("leadfold.in.shop.", Subject::Other("leadfold.in.shop.")),
            ("leadfold.in.Shop.web", Subject::Other("leadfold.in.Shop.web")),
            ("leadfold.in..web", Subject::Other("leadfold.in..web")),
            ("leadfold.cmd.shop.more", Subject::Other("leadfold.cmd.shop.more")),
            ("leadfold.cmd.", Subject::Other("leadfold.cmd.")),
            (&too_long, Subject::Other(&too_long)),
            ("elsewhere", Subject::Other("elsewhere")),
        ];
        for (subject, parsed) in rows {
            assert_eq!(Subject::parse(subject), parsed);
            assert_eq!(parsed.to_string(), subject);
        }
    }

    #[test]
    fn no_name_reaches_another_tenant() {
        let to = |tenant, channel| Subject::Interaction { tenant, channel }.to_published();
        assert_eq!(to("shop", "web").as_deref(), Ok("leadfold.in.shop.web"));
        assert_eq!(to("shop.other", "web"), Err(SubjectError::Tenant));
        assert_eq!(to("*", "web"), Err(SubjectError::Tenant));
        for channel in ["", "*", "a b", "a..b", ">", "a\r\nPUB x 0"] {
            assert_eq!(to("shop", channel), Err(SubjectError::Part { part: "channel" }), "{channel:?}");
        }
    }
}
