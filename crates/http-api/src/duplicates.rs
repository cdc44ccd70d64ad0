//! Visitors who may be the same person.

use access::Permission;
use axum::extract::{RawQuery, State};
use listing::{DuplicatePairRow, DuplicateQuery};

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::parameters::{AtLeast, OfTenant, Paged};
use crate::problem::{CommonProblems, Problem};
use crate::shown::{pairs, take_min_position};
use crate::state::Api;

/// List suspected duplicates
///
/// Pairs of visitors who share an identifier but have different customer numbers, the oldest first. Those that merged
/// since are left out.
#[utoipa::path(
    get, path = "/v1/duplicates", tag = "visitors",
    params(
        ("settled" = Option<bool>, Query, description = "true for those that an operator said are different people; false where absent"),
        Paged,
        ("count" = Option<String>, Query, pattern = "^(exact|none)$", description = "exact also counts all pairs that match"),
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = PageOf<DuplicatePairRow>), CommonProblems)
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<DuplicatePairRow>>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    let mut pairs = pairs(query.as_deref())?;
    let min_position = take_min_position(&mut pairs)?;
    let mut query = DuplicateQuery::new(tenant.id);
    for (name, value) in &pairs {
        query.set(name, value)?;
    }
    api.wait(min_position).await?;
    Ok(At::page(api.service.read_listing(move |reader| reader.duplicates(&query)).await??))
}
