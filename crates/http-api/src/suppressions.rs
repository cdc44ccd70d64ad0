//! What is not to be collected: identifiers that are suppressed, and those that are no longer.

use access::Permission;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::acts::{CommandAnswer, Said, act, document};
use crate::answer::At;
use crate::caller::Caller;
use crate::parameters::{ByOperator, OfTenant, Once};
use crate::problem::{BodyProblems, CommandProblems, CommonProblems, Problem};
use crate::state::Api;

/// Somebody, by at least one identifier.
#[derive(Serialize, ToSchema)]
#[schema(as = Suppression)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// All identifiers that a visitor has, such as `V42`.
    #[schema(pattern = "^V[1-9][0-9]*$", nullable = false)]
    visitor_id: Option<String>,
    /// A customer id.
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-~]+$", nullable = false)]
    customer_id: Option<String>,
    /// An e-mail address.
    #[schema(min_length = 3, max_length = 256, pattern = "^[!-?A-~]+@[!-?A-~]+$", nullable = false)]
    email: Option<String>,
    /// A phone number (E.164).
    #[schema(min_length = 1, max_length = 256, pattern = "^[+]4930[1-9][0-9]{5}$", nullable = false)]
    phone: Option<String>,
    /// A channel's cookie or device id: what events call `visitor_id`.
    #[schema(min_length = 1, max_length = 256, pattern = "^[!-~]+$", nullable = false)]
    device_id: Option<String>,
    /// Why; stands in the log in clear, so it must not say who it is.
    #[schema(
        min_length = 1,
        max_length = 256,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[!-~][^\x00-\x1f\x7f-\x9f]*$",
        example = "objects to profiling"
    )]
    reason: String,
    /// When it counts as done; now where absent.
    #[schema(format = DateTime, nullable = false)]
    at: Option<String>,
}

/// Suppress identifiers
///
/// From then on, nothing that carries one of them is recorded: it is answered as `suppressed`, and nothing of it is kept. Works
/// also for somebody who was erased or never came; the identifiers are kept as keyed hashes only. What was recorded before
/// stays: that is for erasing.
#[utoipa::path(
    post, path = "/v1/suppressions", tag = "visitors",
    params(Once, ByOperator, OfTenant),
    request_body(content = Asked, content_type = "application/json"),
    responses((status = 200, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn suppress(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    carry_out(&api, &caller, request, "suppress").await
}

/// Collect identifiers again
///
/// What was not recorded in the meantime is not there.
#[utoipa::path(
    delete, path = "/v1/suppressions", tag = "visitors",
    params(Once, ByOperator, OfTenant),
    request_body(content = Asked, content_type = "application/json"),
    responses((status = 200, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn unsuppress(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    carry_out(&api, &caller, request, "unsuppress").await
}

async fn carry_out(
    api: &Api,
    caller: &Caller,
    request: Request,
    command: &'static str,
) -> Result<At<CommandAnswer>, Problem> {
    caller.must(Permission::Privacy)?;
    let said = Said::of(request, api, vec![("command", command.to_owned())]).await?;
    let tenant = api.tenant(caller)?.name.to_string();
    act(api, caller, Some(tenant), &document(caller, said)?).await
}
