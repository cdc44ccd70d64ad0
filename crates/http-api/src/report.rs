//! `POST /v1/analytics/query`: figures of the caller's tenant, asked for with a document.

use analytics::{Question, Report, Session, Setting};
use axum::Json;
use axum::extract::{FromRequest, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use access::Permission;

use crate::answer::POSITION_HEADER;
use crate::caller::Caller;
use crate::parameters::{AtLeast, InThePast, OfTenant};
use crate::past::{self, PastTables};
use crate::problem::{BodyProblems, CommonProblems, Problem, QueryProblems};
use crate::shown::{pairs, refuse_rest, take_min_position};
use crate::sql::must_be_json;
use crate::state::Api;

/// What to measure, of what.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsQuery)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are the description; the tables read the document themselves")]
struct Asked {
    /// What the rows are: leads, interactions, events, or attribution (a row for each sold lead and touch)
    #[schema(pattern = "^(leads|interactions|events|attribution)$", example = "leads")]
    source: String,
    /// What is measured: a text such as `count`, `sum:sale_value` or `p95:time_to_convert`, or an object
    #[schema(min_items = 1, max_items = 32)]
    measures: Vec<AskedMeasure>,
    /// What is grouped by: a field, a unit of time (hour, day, week, month, quarter, year), or an object
    #[schema(max_items = 6)]
    dimensions: Option<Vec<AskedDimension>>,
    /// Which rows count: all must hold
    #[schema(max_items = 50)]
    #[schema(value_type = Option<Vec<Object>>)]
    filters: Option<Vec<Map<String, Value>>>,
    period: Option<AskedPeriod>,
    /// Which date the period is of: opened, closed, interaction or converted; of events, event
    date_origin: Option<String>,
    /// The IANA zone of days and of dates; without it the policy's
    #[schema(example = "Europe/Berlin")]
    zone: Option<String>,
    /// `previous_period`, or another period
    compare: Option<AskedComparison>,
    /// Columns, with a minus in front to begin with the highest
    #[schema(max_items = 8)]
    order: Option<Vec<String>>,
    /// Rows of the answer
    #[schema(minimum = 1, maximum = 10000)]
    limit: Option<u32>,
    attribution: Option<AskedAttribution>,
}

/// A measure.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsMeasure)]
#[serde(untagged)]
#[expect(dead_code, reason = "the variants are the description")]
enum AskedMeasure {
    /// A function, and behind a colon its field
    Text(String),
    Object(AskedMeasureObject),
}

/// A measure with a name, with filters of its own, or calculated from those above it.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsMeasureObject)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are the description")]
struct AskedMeasureObject {
    name: Option<String>,
    /// count, count_distinct, sum, average, average_per, percentage, min, max, median, p95 and other percentiles
    function: Option<String>,
    field: Option<String>,
    /// Of average_per: the unit of time
    per: Option<String>,
    #[schema(value_type = Option<Vec<Object>>)]
    filters: Option<Vec<Map<String, Value>>>,
    /// Arithmetic over measures above: + - * / ( ), abs, round, floor, ceil, least, greatest, coalesce
    #[schema(example = "converted / count * 100")]
    formula: Option<String>,
}

/// A dimension.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsDimension)]
#[serde(untagged)]
#[expect(dead_code, reason = "the variants are the description")]
enum AskedDimension {
    /// A field, or a unit of time
    Text(String),
    Object(AskedDimensionObject),
}

/// A dimension with a name, a unit of time, or bands of numbers.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsDimensionObject)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are the description")]
struct AskedDimensionObject {
    name: Option<String>,
    field: Option<String>,
    by: Option<String>,
    zone: Option<String>,
    bands: Option<Vec<Value>>,
}

/// From when, and up to, but not at, when: dates of the zone, or times.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsPeriod)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are the description")]
struct AskedPeriod {
    #[schema(example = "2026-03-01")]
    from: Option<String>,
    #[schema(example = "2026-04-01")]
    to: Option<String>,
}

/// What a period is compared with.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsComparison)]
#[serde(untagged)]
#[expect(dead_code, reason = "the variants are the description")]
enum AskedComparison {
    /// `previous_period`: as many months, days, or seconds right before
    Text(String),
    Period(AskedPeriod),
}

/// How the value of a sale is shared among touches.
#[derive(Deserialize, ToSchema)]
#[schema(as = AnalyticsAttribution)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the fields are the description")]
struct AskedAttribution {
    /// first_touch, last_touch, linear, position or time_decay
    #[schema(pattern = "^(first_touch|last_touch|linear|position|time_decay)$")]
    model: String,
    /// What is credited: campaign (usual), campaign_source, campaign_medium, channel, skill, device_type
    by: Option<String>,
    /// How long before the sale a touch may be, such as `30d`
    look_back: Option<String>,
    /// Of time_decay: after how long a touch is worth half, such as `7d` (usual)
    half_life: Option<String>,
}

/// Figures at one position.
#[derive(ToSchema)]
#[schema(as = AnalyticsReport)]
#[expect(dead_code, reason = "the fields are the description")]
struct Answered {
    /// The position of the log at which all of it stands
    position: u64,
    /// The zone of days and of times
    zone: String,
    /// Up to when ages count
    at: Option<String>,
    period: Option<AnsweredPeriod>,
    previous_period: Option<AnsweredPeriod>,
    /// The columns in their order
    columns: Vec<AnsweredColumn>,
    /// The rows, each with every column
    #[schema(value_type = Vec<Object>)]
    items: Vec<Map<String, Value>>,
    /// How many rows there are without the limit
    groups: u64,
    /// Whether the limit left rows out
    truncated: bool,
    /// What could not be worked out, and why
    notes: Vec<AnsweredNote>,
}

/// A time, with the offset of the zone.
#[derive(ToSchema)]
#[schema(as = AnalyticsReportPeriod)]
#[expect(dead_code, reason = "the fields are the description")]
pub(crate) struct AnsweredPeriod {
    from: Option<String>,
    to: Option<String>,
}

/// A column.
#[derive(ToSchema)]
#[schema(as = AnalyticsColumn)]
#[expect(dead_code, reason = "the fields are the description")]
struct AnsweredColumn {
    name: String,
    /// dimension or measure
    kind: String,
    /// text, number, money (minor units), seconds, percent, time or flag
    r#type: String,
    /// Of money whose rows have all the same
    #[schema(nullable = false)]
    currency: Option<String>,
}

/// What could not be worked out.
#[derive(ToSchema)]
#[schema(as = AnalyticsNote)]
#[expect(dead_code, reason = "the fields are the description")]
pub(crate) struct AnsweredNote {
    column: String,
    /// division_by_zero, several_currencies, too_large or no_counterpart
    code: String,
    message: String,
    /// In how many rows
    rows: u64,
}

/// Measure leads, interactions, events and attribution
///
/// Counts, sums, averages, percentiles, shares and formulas, by fields and units of time, compared with the time before; all
/// of it at one position of the log. The same limits hold as for SQL. With `as_of` or `known_at` the
/// figures as they were, ages too: tables of that time are built first, unless they were asked for lately.
#[utoipa::path(
    post, path = "/v1/analytics/query", tag = "analytics",
    params(InThePast, AtLeast, OfTenant),
    request_body(content = Asked, content_type = "application/json"),
    responses((status = 200, description = "The figures", body = Answered), CommonProblems, BodyProblems, QueryProblems)
)]
pub(crate) async fn query(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(parameters): RawQuery,
    request: Request,
) -> Result<Response, Problem> {
    caller.must(Permission::Analyse)?;
    let tenant = api.tenant(&caller)?;
    let mut pairs = pairs(parameters.as_deref())?;
    let when = past::when(&api, &mut pairs)?;
    let min_position = take_min_position(&mut pairs)?;
    refuse_rest(&pairs)?;
    must_be_json(request.headers(), "Send the query as JSON: {\"source\": \"leads\", \"measures\": [\"count\"]}.")?;
    let body = Bytes::from_request(request, &api).await?;
    let read = |setting: &Setting| Question::read(&body, setting).map_err(|faults| Problem::query_faults(&faults));
    let ask = |question: Question| move |session: Session| async move { session.report(&question).await };
    let (position, report): (_, Report) = match when {
        Some(when) => {
            api.reached(min_position)?;
            let tables = PastTables::find(&api, &tenant, when).await?;
            let question = read(&tables.setting())?;
            tables.ask(&api, ask(question)).await?
        }
        None => {
            let question = read(&api.setting(&tenant))?;
            api.ask_tables(&tenant.name, min_position, ask(question)).await?
        }
    };
    let mut response = Json(report).into_response();
    response.headers_mut().insert(POSITION_HEADER, HeaderValue::from(position.0));
    Ok(response)
}
