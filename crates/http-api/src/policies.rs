//! The policy of a tenant: reading it, adopting another one, its history, its lead types.

use access::Permission;
use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use engine::RescoringState;
use http::{HeaderValue, StatusCode, header};
use lead_domain::TenantId;
use lead_domain::policy::CountedFrom;
use proto_events::command_document::{Ask, CommandDocument, Rescore};
use proto_events::lead_event::rfc3339;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::acts::{CommandAnswer, act, idempotency_key, if_match};
use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::media::media_type;
use crate::parameters::{Id, IfMatch, OfTenant, Once};
use crate::problem::{BodyProblems, CommandProblems, CommonProblems, Problem};
use crate::shown::{pairs, refuse_rest, take};
use crate::state::Api;

/// A version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyVersionRow {
    /// From 1.
    version: u32,
    /// The record that adopted it.
    position: u64,
    /// When it was adopted.
    #[schema(format = DateTime)]
    adopted_at: String,
}

/// A class of leads.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LeadTypeRow {
    /// The key.
    name: String,
    /// What people read.
    title: String,
    /// For filtering and grouping.
    group: Option<String>,
    /// Free labels.
    labels: Vec<String>,
    /// Whether leads of it may be opened.
    active: bool,
    /// How long a lead may stay quiet or open.
    close_after_seconds: i64,
    /// `first_interaction` or `last_interaction`.
    counted_from: &'static str,
    /// The skills and channels whose interactions may open or join its leads.
    used_by: Vec<String>,
}

/// Which lead types.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LeadTypeFilter {
    /// Only this group.
    #[param(value_type = String, required = false)]
    group: Option<String>,
    /// Only those that this skill or channel may use.
    #[param(value_type = String, required = false)]
    skill: Option<String>,
    /// Only active ones, or only inactive ones.
    #[param(value_type = bool, required = false)]
    active: Option<bool>,
}

impl LeadTypeFilter {
    fn of(query: Option<&str>) -> Result<Self, Problem> {
        let mut pairs = pairs(query)?;
        let active = take(&mut pairs, "active").map(|value| value.parse()).transpose();
        let active = active.map_err(|_| Problem::field("active", "invalid_value", "active must be true or false."))?;
        let filter = Self { group: take(&mut pairs, "group"), skill: take(&mut pairs, "skill"), active };
        refuse_rest(&pairs)?;
        Ok(filter)
    }
}

/// Which leads a policy that comes into force scores anew.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RescoreChoice {
    /// `open` scores open leads anew, as if the policy had been in force from their start; `none`, the default, leaves them.
    #[param(value_type = String, required = false, pattern = "^(none|open)$")]
    rescore: Rescore,
}

impl RescoreChoice {
    pub(crate) fn of(query: Option<&str>) -> Result<Self, Problem> {
        let mut pairs = pairs(query)?;
        let word = take(&mut pairs, "rescore").unwrap_or_else(|| Rescore::None.word().to_owned());
        let message = || format!("rescore must be one of {}.", Rescore::WORDS.join(", "));
        let rescore = Rescore::of(&word).ok_or_else(|| Problem::field("rescore", "invalid_value", message()))?;
        refuse_rest(&pairs)?;
        Ok(Self { rescore })
    }
}

/// How far scoring open leads anew has come, or what the last time came to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RescoringShown {
    /// `never` chosen, `under_way`, or `done`.
    state: &'static str,
    /// The policy version that leads are scored by.
    policy_version: Option<u32>,
    /// The record of the choice.
    choice_position: Option<u64>,
    /// When it was chosen.
    #[schema(format = DateTime)]
    chosen_at: Option<String>,
    /// The visitors concerned, by the number of the last one; of all tenants.
    visitors: u64,
    /// Those that are done, by the number of the last one.
    visitors_done: u64,
    /// Open leads looked at so far.
    leads: u64,
    /// Those whose score changed.
    changed: u64,
    /// How long it took; `null` while it is under way.
    seconds: Option<f64>,
}

impl From<Option<RescoringState>> for RescoringShown {
    fn from(found: Option<RescoringState>) -> Self {
        let state = match found.map(|found| found.took) {
            None => "never",
            Some(None) => "under_way",
            Some(Some(_)) => "done",
        };
        Self {
            state,
            policy_version: found.map(|found| found.policy_version),
            choice_position: found.map(|found| found.choice.0),
            chosen_at: found.map(|found| rfc3339(found.chosen_at)),
            visitors: found.map_or(0, |found| found.last_visitor.0),
            visitors_done: found.map_or(0, |found| found.up_to.0),
            leads: found.map_or(0, |found| found.leads),
            changed: found.map_or(0, |found| found.changed),
            seconds: found.and_then(|found| found.took).map(|took| took.as_millis() as f64 / 1_000.0),
        }
    }
}

/// A policy, in TOML.
#[derive(ToSchema)]
#[schema(value_type = String, min_length = 1, max_length = 1_048_576, pattern = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*[!-~][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$")]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct PolicyText(String);

/// Show the policy in force
#[utoipa::path(
    get, path = "/v1/policy", tag = "policy",
    params(OfTenant),
    responses(
        (status = 200, body = String, content_type = "application/toml", description = "The document as it was adopted",
            headers(("ETag" = String, description = "The version"))),
        CommonProblems
    )
)]
pub(crate) async fn show(State(api): State<Api>, caller: Caller) -> Result<Response, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?;
    document(&api, tenant.id, tenant.version).await
}

/// Show a version of the policy
///
/// `ETag` holds its number, which `If-Match` takes only while it is in force.
#[utoipa::path(
    get, path = "/v1/policy/versions/{version}", tag = "policy",
    params(
        ("version" = u32, Path, description = "From 1, as /v1/policy/versions lists them", minimum = 1),
        OfTenant,
    ),
    responses(
        (status = 200, body = String, content_type = "application/toml", description = "The document as it was adopted",
            headers(("ETag" = String, description = "The version"))),
        CommonProblems
    )
)]
pub(crate) async fn show_version(State(api): State<Api>, caller: Caller, Id(version): Id) -> Result<Response, Problem> {
    caller.must(Permission::Audit)?;
    let tenant = api.tenant(&caller)?;
    let version = version.parse().map_err(|_| Problem::not_found("version of the policy"))?;
    document(&api, tenant.id, version).await
}

/// The document of a version, as it was adopted.
async fn document(api: &Api, tenant: TenantId, version: u32) -> Result<Response, Problem> {
    let found = api.service.with_engine(move |engine| engine.policy_version(tenant, version)).await??;
    let policy = found.ok_or_else(|| Problem::not_found("version of the policy"))?;
    let mut response = policy.document.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/toml"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
    Ok(response)
}

/// Put a policy in force
///
/// The first one makes the tenant. A policy with a fault is refused whole; `errors` names every fault. With `rescore=open`
/// open leads are scored anew, which goes on after the answer: see `/v1/policy/rescoring`. Until it has ended another policy
/// is only adopted with `rescore=open`, which begins anew.
#[utoipa::path(
    put, path = "/v1/policy", tag = "policy",
    params(
        RescoreChoice,
        Once,
        IfMatch,
        OfTenant,
    ),
    request_body(content = PolicyText, content_type = "application/toml"),
    responses((status = 200, body = CommandAnswer), CommonProblems, BodyProblems, CommandProblems)
)]
pub(crate) async fn adopt(
    State(api): State<Api>,
    caller: Caller,
    request: Request,
) -> Result<At<CommandAnswer>, Problem> {
    caller.must(Permission::Configure)?;
    let RescoreChoice { rescore } = RescoreChoice::of(request.uri().query())?;
    let headers = request.headers().clone();
    if media_type(&headers) != "application/toml" {
        return Err(Problem::unsupported_media("Send application/toml."));
    }
    let body = Bytes::from_request(request, &api).await?;
    let document = String::from_utf8(body.to_vec());
    let document = document.map_err(|_| Problem::field("", "not_utf8", "The policy must be UTF-8."))?;
    let if_version = if_match(&headers)?;
    let tenant = match if_version {
        // A version is one of a tenant's that is there already.
        Some(_) => Some(api.tenant(&caller)?.name.to_string()),
        None => caller.tenant().map(ToOwned::to_owned).or_else(|| caller.named_tenant.clone()),
    };
    let document = CommandDocument {
        id: idempotency_key(&headers)?,
        operator: caller.operator(),
        at: None,
        if_version,
        ask: Ask::AdoptPolicy { document, rescore },
    };
    act(&api, &caller, tenant, &document).await
}

/// Show how far scoring open leads anew has come
#[utoipa::path(
    get, path = "/v1/policy/rescoring", tag = "policy",
    params(OfTenant),
    responses((status = 200, body = RescoringShown), CommonProblems)
)]
pub(crate) async fn rescoring(State(api): State<Api>, caller: Caller) -> Result<At<RescoringShown>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let tenant = api.tenant(&caller)?.id;
    let found = api.service.with_engine(move |engine| engine.rescoring(tenant)).await??;
    Ok(At::new(api.service.head(), found.into()))
}

/// List the versions of the policy
#[utoipa::path(
    get, path = "/v1/policy/versions", tag = "policy",
    params(OfTenant),
    responses((status = 200, body = PageOf<PolicyVersionRow>), CommonProblems)
)]
pub(crate) async fn versions(State(api): State<Api>, caller: Caller) -> Result<At<PageOf<PolicyVersionRow>>, Problem> {
    caller.must(Permission::Audit)?;
    let tenant = api.tenant(&caller)?;
    let (id, last) = (tenant.id, tenant.version);
    let read = move |engine: &mut engine::Engine| {
        (1..=last)
            .rev()
            .filter_map(|version| engine.policy_version(id, version).transpose())
            .collect::<Result<Vec<_>, _>>()
    };
    let found = api.service.with_engine(read).await??;
    let items = found.iter().map(|policy| PolicyVersionRow {
        version: policy.version,
        position: policy.position.0,
        adopted_at: rfc3339(policy.adopted_at),
    });
    let position = api.service.head();
    Ok(At::new(position, PageOf { items: items.collect(), next_cursor: None, position: position.0, count: None }))
}

/// List the lead types of the policy in force
#[utoipa::path(
    get, path = "/v1/lead-types", tag = "policy",
    params(
        LeadTypeFilter,
        OfTenant,
    ),
    responses((status = 200, body = PageOf<LeadTypeRow>), CommonProblems)
)]
pub(crate) async fn lead_types(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<LeadTypeRow>>, Problem> {
    caller.must(Permission::ReadLeads)?;
    let filter = LeadTypeFilter::of(query.as_deref())?;
    let tenant = api.tenant(&caller)?;
    let policy = tenant.policy();
    let entry_points = || policy.skills.iter().chain(&policy.channels);
    let uses = |name: &str| -> Vec<String> {
        let using = entry_points().filter(|point| {
            point.default_lead_type.as_deref() == Some(name) || point.also_allowed.iter().any(|allowed| allowed == name)
        });
        using.map(|point| point.name.to_string()).collect()
    };
    let rows = policy.lead_types.iter().map(|lead_type| LeadTypeRow {
        name: lead_type.name.to_string(),
        title: lead_type.title.to_string(),
        group: lead_type.group.as_ref().map(ToString::to_string),
        labels: lead_type.labels.iter().map(ToString::to_string).collect(),
        active: lead_type.active,
        close_after_seconds: lead_type.close_after.as_millis() / 1_000,
        counted_from: match lead_type.counted_from {
            CountedFrom::FirstInteraction => "first_interaction",
            CountedFrom::LastInteraction => "last_interaction",
        },
        used_by: uses(&lead_type.name),
    });
    let fits = |row: &LeadTypeRow| {
        filter.group.as_ref().is_none_or(|group| row.group.as_ref() == Some(group))
            && filter.skill.as_ref().is_none_or(|skill| row.used_by.contains(skill))
            && filter.active.is_none_or(|active| row.active == active)
    };
    let items = rows.filter(fits).collect();
    let position = api.service.head();
    Ok(At::new(position, PageOf { items, next_cursor: None, position: position.0, count: None }).status(StatusCode::OK))
}
