//! `GET /v1/analytics/funnel`: how far leads got, where they dropped off, and how long it took.

use access::Permission;
use analytics::{Funnel, FunnelReport, Session, Setting};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use proto_events::policy_document::PolicyDocument;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::answer::POSITION_HEADER;
use crate::caller::Caller;
use crate::parameters::{AtLeast, InThePast, OfTenant};
use crate::past::{self, PastTables};
use crate::problem::{CommonProblems, Problem, QueryProblems};
use crate::report::{AnsweredNote, AnsweredPeriod};
use crate::shown::{pairs, take_min_position};
use crate::state::Api;

/// What the funnel is of. Besides these, every field of leads is a parameter, with its values separated by commas.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the fields are the description; the tables read the parameters themselves")]
struct Asked {
    /// Fields of leads or units of time (hour, day, week, month, quarter, year), separated by commas; three at most
    by: Option<String>,
    /// From when, of the date origin: a date of the zone, or a time
    from: Option<String>,
    /// Up to, but not at, when
    to: Option<String>,
    /// The IANA zone of days and of dates; without it the policy's
    zone: Option<String>,
    /// Which date the period is of: opened (usual), closed or converted
    #[param(pattern = "^(opened|closed|converted)$")]
    date_origin: Option<String>,
}

/// A funnel at one position.
#[derive(ToSchema)]
#[schema(as = AnalyticsFunnel)]
#[expect(dead_code, reason = "the fields are the description")]
struct Answered {
    /// The position of the log at which all of it stands
    position: u64,
    /// The zone of days and of times
    zone: String,
    #[schema(nullable = false)]
    period: Option<AnsweredPeriod>,
    /// The stages of the policy in force, in order
    stages: Vec<String>,
    /// What groups are of
    by: Vec<String>,
    /// The groups, that with most leads first
    groups: Vec<AnsweredGroup>,
    /// Whether there are more groups
    truncated: bool,
    /// What could not be worked out, and why
    notes: Vec<AnsweredNote>,
}

/// The funnel of some leads.
#[derive(ToSchema)]
#[schema(as = AnalyticsFunnelGroup)]
#[expect(dead_code, reason = "the fields are the description")]
struct AnsweredGroup {
    /// What they have in common
    #[schema(value_type = Object)]
    group: Map<String, Value>,
    leads: u64,
    /// How many of them converted
    converted: u64,
    /// How many are in no stage that the policy in force has
    in_no_stage: u64,
    stages: Vec<AnsweredStep>,
}

/// A stage.
#[derive(ToSchema)]
#[schema(as = AnalyticsFunnelStep)]
#[expect(dead_code, reason = "the fields are the description")]
struct AnsweredStep {
    stage: String,
    /// Leads that entered it or a later one
    reached: u64,
    /// Leads that are in it now, or ended there
    here: u64,
    /// In hundredths of all leads
    reached_percent: Option<f64>,
    /// In hundredths of those that reached the stage before
    from_previous_percent: Option<f64>,
    /// Leads that reached the stage before and not this one
    dropped_off: u64,
    /// Entries into it from a stage before
    entered_from_before: u64,
    /// The median of the seconds in the stage before, of those entries
    median_seconds_from_before: Option<f64>,
}

/// Show the funnel
///
/// How many leads reached each stage of the policy in force, where they dropped off, and how long they took; by anything,
/// all of it at one position of the log, or as it was. Nothing goes back in a funnel: who is in a stage has reached all in front of it.
#[utoipa::path(
    get, path = "/v1/analytics/funnel", tag = "analytics",
    params(Asked, InThePast, AtLeast, OfTenant),
    responses((status = 200, description = "The funnel", body = Answered), CommonProblems, QueryProblems)
)]
pub(crate) async fn show(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(parameters): RawQuery,
) -> Result<Response, Problem> {
    caller.must(Permission::Analyse)?;
    let tenant = api.tenant(&caller)?;
    let mut pairs = pairs(parameters.as_deref())?;
    let when = past::when(&api, &mut pairs)?;
    let min_position = take_min_position(&mut pairs)?;
    let read = |policy: &PolicyDocument, setting: &Setting| {
        let stages = policy.policy.scoring.stages.iter().map(|stage| stage.name.to_string());
        Funnel::read(&pairs, stages, setting).map_err(|faults| Problem::query_faults(&faults))
    };
    let ask = |funnel: Funnel| move |session: Session| async move { session.funnel(&funnel).await };
    let (position, report): (_, FunnelReport) = match when {
        Some(when) => {
            api.reached(min_position)?;
            let tables = PastTables::find(&api, &tenant, when).await?;
            let funnel = read(tables.policy(), &tables.setting())?;
            tables.ask(&api, ask(funnel)).await?
        }
        None => {
            let funnel = read(&tenant.document, &api.setting(&tenant))?;
            api.ask_tables(&tenant.name, min_position, ask(funnel)).await?
        }
    };
    let mut response = Json(report).into_response();
    response.headers_mut().insert(POSITION_HEADER, HeaderValue::from(position.0));
    Ok(response)
}
