//! What a service says instead of what was asked, as a sentence of this program.

use engine::EngineError;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::failure::UsageError;

/// Why a service did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// Nobody answers.
    #[error("reach the service at {server}: {reason}")]
    Unreachable {
        /// Its address.
        server: String,
        /// What went wrong.
        reason: String,
    },
    /// Somebody else answers.
    #[error("use {server}: what answers there is no Leadfold service")]
    Foreign {
        /// The address.
        server: String,
    },
    /// It says no.
    #[error("{sentence}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// The last word of the problem's type, such as `not-found`.
        kind: String,
        /// A sentence of its own.
        sentence: String,
        /// Each fault of the request.
        faults: Vec<RemoteFault>,
    },
}

/// A fault of a request.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RemoteFault {
    /// Where.
    pub(crate) path: String,
    /// A stable word.
    pub(crate) code: String,
    /// What would be right.
    pub(crate) message: String,
}

/// A problem (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    #[serde(default)]
    errors: Vec<RemoteFault>,
}

/// What every type of a problem begins with.
const KIND: &str = "urn:leadfold:problem:";

impl RemoteError {
    /// What an answer says that is no success.
    pub(super) fn of(status: StatusCode, body: &[u8], server: &str, has_key: bool) -> Self {
        let problem = serde_json::from_slice::<Problem>(body).ok();
        let Some((kind, problem)) = problem.and_then(|it| Some((it.kind.strip_prefix(KIND)?.to_owned(), it))) else {
            return Self::Foreign { server: format!("{server} (it answers {status})") };
        };
        let sentence = match (status, has_key) {
            (StatusCode::UNAUTHORIZED, false) => format!(
                "the service at {server} needs an API key: name a file that holds one with --api-key-file \
                 (LEADFOLD_API_KEY_FILE)"
            ),
            (StatusCode::UNAUTHORIZED, true) => {
                format!("the service at {server} refuses the API key: {}", plain(&problem.detail))
            }
            _ if problem.errors.is_empty() || problem.errors.iter().all(|fault| fault.message == problem.detail) => {
                plain(&problem.detail)
            }
            _ => problem.errors.iter().map(RemoteFault::sentence).collect::<Vec<_>>().join("; "),
        };
        Self::Refused { status, kind, sentence, faults: problem.errors }
    }

    /// The same in the words that a folder has for it, where it is about the tenant.
    pub(super) fn for_tenant(self, tenant: Option<&str>) -> anyhow::Error {
        let Self::Refused { status, kind, sentence, faults } = &self else { return self.into() };
        let needed = |fault: &RemoteFault| fault.path == "Leadfold-Tenant" && fault.code == "missing";
        if faults.iter().any(needed) {
            return UsageError("there are several tenants; name one with --tenant".to_owned()).into();
        }
        let unknown = *status == StatusCode::NOT_FOUND && kind == "not-found" && sentence.contains("no such tenant");
        match tenant {
            Some(name) if unknown => EngineError::UnknownTenant { name: name.to_owned() }.into(),
            None if unknown => {
                UsageError("there is no tenant yet; adopt a policy first (`leadfold policy adopt FILE`)".to_owned())
                    .into()
            }
            Some(_) | None => self.into(),
        }
    }

    /// Whether there is no such lead, visitor or whatever was asked for; not so where the tenant is unknown.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, kind, .. } if kind == "not-found")
    }

    /// What the service says where what would have to follow is paused.
    pub(crate) fn paused(&self) -> Option<&str> {
        match self {
            Self::Refused { kind, sentence, .. } if kind == "paused" => Some(sentence),
            Self::Refused { .. } | Self::Unreachable { .. } | Self::Foreign { .. } => None,
        }
    }

    /// Whether what was asked makes no sense, whatever the service holds.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Refused { status, kind, .. } => *status == StatusCode::BAD_REQUEST || is_future(kind),
            Self::Unreachable { .. } | Self::Foreign { .. } => false,
        }
    }
}

/// Whether the problem is a time that has not come yet.
fn is_future(kind: &str) -> bool {
    kind == "in-the-future"
}

impl RemoteFault {
    fn sentence(&self) -> String {
        let message = plain(&self.message);
        if self.path.is_empty() { message } else { format!("{}: {message}", self.path) }
    }
}

/// A sentence without its capital letter and full stop, unless what it begins with is a name.
fn plain(text: &str) -> String {
    let text = text.trim_end_matches('.');
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_ascii_lowercase() || second == ' ' => {
            let rest = text.get(first.len_utf8()..).unwrap_or_default();
            format!("{}{rest}", first.to_lowercase())
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> RemoteError {
        RemoteError::of(StatusCode::from_u16(status).unwrap(), body.as_bytes(), "http://x", false)
    }

    #[test]
    fn problems_read_as_sentences_of_the_program() {
        let cases = [
            (r#""detail":"Lead V1-1 is open already.""#, "lead V1-1 is open already"),
            (r#""detail":"V1 and V2 are one.""#, "V1 and V2 are one"),
            (r#""detail":"It is full. Try again.""#, "it is full. Try again"),
            (
                r#""detail":"2 faults","errors":[{"path":"a","code":"x","message":"It is wrong."},{"path":"","code":"y","message":"So is it."}]"#,
                "a: it is wrong; so is it",
            ),
        ];
        for (fields, sentence) in cases {
            let body = format!(r#"{{"type":"urn:leadfold:problem:some","title":"t","status":409,{fields}}}"#);
            assert_eq!(refused(409, &body).to_string(), sentence);
        }
    }

    #[test]
    fn what_is_no_problem_of_ours_comes_from_somebody_else() {
        for body in ["", "<html>", r#"{"type":"about:blank","detail":"x"}"#] {
            assert!(matches!(refused(502, body), RemoteError::Foreign { .. }), "{body}");
        }
    }
}
