//! Interactions that no lead could take.

use access::Permission;
use axum::extract::{RawQuery, State};
use listing::{OrphanQuery, OrphanRow};

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::parameters::{AtLeast, OfTenant, Paged};
use crate::problem::{CommonProblems, Problem};
use crate::shown::{pairs, take_min_position};
use crate::state::Api;

/// List orphans
///
/// Interactions that no lead could take, the latest first.
#[utoipa::path(
    get, path = "/v1/orphans", tag = "leads",
    params(
        ("channel" = Option<String>, Query, pattern = r"[^,\s]", description = "Channels"),
        ("skill" = Option<String>, Query, pattern = r"[^,\s]", description = "Skills"),
        ("reason" = Option<String>, Query, pattern = r"[^,\s]", description = "unknown_entry_point, no_default_lead_type, inactive_lead_type, too_many_leads"),
        ("from" = Option<String>, Query, format = DateTime, description = "Happened at or after (RFC 3339, or a day)"),
        ("to" = Option<String>, Query, format = DateTime, description = "Happened before"),
        Paged,
        ("count" = Option<String>, Query, pattern = "^(exact|none)$", description = "exact also counts all orphans that match"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = PageOf<OrphanRow>), CommonProblems)
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<OrphanRow>>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let mut pairs = pairs(query.as_deref())?;
    let min_position = take_min_position(&mut pairs)?;
    let mut query = OrphanQuery::new(tenant.id);
    for (name, value) in &pairs {
        query.set(name, value)?;
    }
    api.wait(min_position).await?;
    Ok(At::page(api.service.read_listing(move |reader| reader.orphans(&query)).await??))
}
