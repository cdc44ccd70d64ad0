//! Interactions that no lead could take.

use access::Permission;
use axum::extract::{RawQuery, State};
use listing::{OrphanQuery, OrphanRow};

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::problem::{CommonProblems, Problem};
use crate::shown::{pairs, take_min_position};
use crate::state::Api;

/// List orphans
///
/// Interactions that no lead could take, the latest first.
#[utoipa::path(
    get, path = "/v1/orphans", tag = "leads",
    params(
        ("channel" = Option<String>, Query, description = "Channels"),
        ("skill" = Option<String>, Query, description = "Skills"),
        ("reason" = Option<String>, Query, description = "unknown_entry_point, no_default_lead_type, inactive_lead_type, too_many_leads"),
        ("from" = Option<String>, Query, description = "Happened at or after (RFC 3339, or a day)"),
        ("to" = Option<String>, Query, description = "Happened before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 500, description = "Rows of a page; 50 where absent"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of the page before"),
        ("count" = Option<String>, Query, description = "exact also counts all orphans that match"),
        ("min_position" = Option<u64>, Query, description = "Waits until the listing holds this position"),
        ("Leadfold-Tenant" = Option<String>, Header, description = "The tenant, for a key that reaches several"),
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
    let page = api.service.read_listing(move |reader| reader.orphans(&query)).await??;
    let position = page.position;
    Ok(At::new(
        position,
        PageOf { items: page.items, next_cursor: page.next_cursor, position: position.0, count: page.count },
    ))
}
