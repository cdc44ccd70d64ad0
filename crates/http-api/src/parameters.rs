//! Parameters that many routes share: the id in an address, and the others as the description has them.
//!
//! None is an `Option`, which would be described as something that may be `null`.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use utoipa::IntoParams;

use crate::problem::Problem;
use crate::state::Api;

/// The id in an address, or whatever else varies in it.
pub(crate) struct Id(pub(crate) String);

impl FromRequestParts<Api> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, api).await?;
        Ok(Self(id))
    }
}

/// Two things that vary in an address, in their order.
pub(crate) struct Ids(pub(crate) String, pub(crate) String);

impl FromRequestParts<Api> for Ids {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let Path((first, second)) = Path::<(String, String)>::from_request_parts(parts, api).await?;
        Ok(Self(first, second))
    }
}

/// Whose things a request is about.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct OfTenant {
    /// The tenant, for a key that reaches several
    #[param(
        required = false,
        rename = "Leadfold-Tenant",
        min_length = 1,
        max_length = 256,
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    tenant: String,
}

/// Under which key a command counts once.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct Once {
    /// A second request with the same key, however much later, is answered as the first was, and changes nothing; with other
    /// content it is refused. A refused request leaves its key free
    #[param(
        required = false,
        rename = "Idempotency-Key",
        min_length = 1,
        max_length = 128,
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    idempotency_key: String,
}

/// Which version a command is meant for.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct IfMatch {
    /// The ETag of what is to be changed: refused when it has changed since
    #[param(required = false, rename = "If-Match", pattern = "^([*]|\"[0-9]{1,9}\")$", example = "\"7\"")]
    if_match: String,
}

/// Who acts.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct ByOperator {
    /// The person who acts, where an application acts for several
    #[param(
        required = false,
        rename = "Leadfold-Operator",
        min_length = 1,
        max_length = 256,
        pattern = "^[!-~]([ -~]*[!-~])?$"
    )]
    operator: String,
}

/// From which place in the log on an answer may be.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct AtLeast {
    /// Waits until the answer holds what was recorded up to this position; behind the log's end is refused
    #[param(required = false, minimum = 0)]
    min_position: u64,
}

/// Which past is asked for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct InThePast {
    /// What had happened by then, by all that is known; not in the future
    #[param(required = false, format = DateTime)]
    as_of: String,
    /// What was recorded by then; not in the future
    #[param(required = false, format = DateTime)]
    known_at: String,
}

/// Which page of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct Paged {
    /// Rows of a page; 50 where absent
    #[param(required = false, minimum = 1, maximum = 500)]
    limit: u32,
    /// The `next_cursor` of the page before; the other parameters must be the same
    #[param(required = false, pattern = "^[0-9A-Za-z_-]+$", max_length = 256)]
    cursor: String,
}
