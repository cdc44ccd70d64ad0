//! Who calls: the API key of a request, and what it may do.

use access::{Denied, Permission, Principal};
use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, header};

use crate::problem::Problem;
use crate::state::Api;

/// The header in which a caller with several tenants names one.
pub(crate) const TENANT_HEADER: &str = "leadfold-tenant";
/// The header in which an application names the person who acts through it.
pub(crate) const OPERATOR_HEADER: &str = "leadfold-operator";
/// Characters of a name in these headers.
const NAME_CHARACTERS_MAX: usize = 256;

/// Whoever made the request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// `None` as long as no key was made: whoever reaches the loopback address may do everything then.
    principal: Option<Principal>,
    /// The tenant that the request names.
    pub(crate) named_tenant: Option<String>,
    /// The person whom the request names.
    named_operator: Option<String>,
}

impl Caller {
    /// Reads who calls from the headers.
    pub(crate) fn of(headers: &HeaderMap, api: &Api) -> Result<Self, Problem> {
        let principal = match token(headers)? {
            Some(_) if api.guard.is_open() => None,
            Some(token) => Some(api.guard.authenticate(&token).map_err(|denied| denied_problem(&denied))?),
            None if api.guard.is_open() => None,
            None => {
                return Err(Problem::unauthorized("Send an API key in the header Authorization, as a Bearer token."));
            }
        };
        Self::with(principal, headers)
    }

    /// The caller of Segment's interface: its write key is a key, or the tenant's name as long as no key was made.
    pub(crate) fn of_write_key(headers: &HeaderMap, write_key: Option<&str>, api: &Api) -> Result<Self, Problem> {
        let sent = basic_user(headers).or_else(|| write_key.map(ToOwned::to_owned)).filter(|key| !key.is_empty());
        if api.guard.is_open() {
            return Ok(Self { principal: None, named_tenant: sent, named_operator: None });
        }
        let token = sent.ok_or_else(|| Problem::unauthorized("The write key must be a publisher's API key."))?;
        let principal = api.guard.authenticate(&token).map_err(|denied| denied_problem(&denied))?;
        Self::with(Some(principal), headers)
    }

    fn with(principal: Option<Principal>, headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self {
            principal,
            named_tenant: name(headers, TENANT_HEADER)?,
            named_operator: name(headers, OPERATOR_HEADER)?,
        })
    }

    /// The only tenant that the key reaches; `None` when it reaches all.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.principal.as_ref().and_then(|principal| principal.tenant.one())
    }

    /// Refuses a caller whose key may not do it.
    pub(crate) fn must(&self, permission: Permission) -> Result<(), Problem> {
        match &self.principal {
            None => Ok(()),
            Some(principal) if principal.allows(permission) => Ok(()),
            Some(principal) => Err(Problem::forbidden(format!(
                "The role {} doesn't allow this; use the key of another role.",
                principal.role
            ))),
        }
    }

    /// Under whose name a command is recorded: the person whom the request names, or else the key.
    pub(crate) fn operator(&self) -> String {
        match (&self.named_operator, &self.principal) {
            (Some(named), _) => named.clone(),
            (None, Some(principal)) => format!("key:{}", principal.key_id),
            (None, None) => "anonymous".to_owned(),
        }
    }
}

impl FromRequestParts<Api> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        Self::of(&parts.headers, api)
    }
}

fn denied_problem(denied: &Denied) -> Problem {
    match denied {
        Denied::Unknown => Problem::unauthorized("There is no such API key."),
        Denied::Revoked { .. } => Problem::unauthorized("The API key was revoked."),
        Denied::Unreadable { .. } => Problem::internal(denied),
    }
}

/// The token of `Authorization: Bearer …`; `None` when there is no such header.
fn token(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        Some(_) | None => Err(Problem::unauthorized("The header Authorization must be \"Bearer\" and the API key.")),
    }
}

/// The user of `Authorization: Basic …`, which Segment's SDKs send the write key as.
fn basic_user(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    Some(decoded.split_once(':').map_or(decoded.as_str(), |(user, _)| user).to_owned())
}

fn name(headers: &HeaderMap, header: &'static str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default().trim();
    let fits = !text.is_empty() && text.chars().count() <= NAME_CHARACTERS_MAX && !text.chars().any(char::is_control);
    if fits {
        return Ok(Some(text.to_owned()));
    }
    Err(Problem::field(header, "invalid_value", "The header must hold a name of 1 to 256 characters."))
}
