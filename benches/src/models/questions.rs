//! What is asked of both: pages of leads, and reports.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::running::Running;

/// How we are asked.
pub(crate) enum Ask {
    Get(String),
    Post(&'static str, Value),
}

/// A question of both.
pub(crate) struct Question {
    /// Without values, which may be a person's.
    pub(crate) name: String,
    pub(crate) ask: Ask,
    /// Empty where there is no short way to say it.
    pub(crate) sql: String,
    pub(crate) is_page: bool,
}

const LATEST: &str = "last_interaction_at desc, id desc";

/// Pages that need no value of a lead: what we are asked, and condition and order in SQL.
const PLAIN: [(&str, &str, &str); 18] = [
    ("", "true", LATEST),
    ("sort=opened_at", "true", "opened_at, id"),
    ("sort=-closed_at", "true", "closed_at desc nulls last, id desc"),
    ("sort=-value", "true", "sale_value desc nulls last, id desc"),
    ("sort=-score", "true", "score desc, id desc"),
    ("status=open", "status = 'open'", LATEST),
    ("status=closed&sort=-closed_at", "status = 'closed'", "closed_at desc nulls last, id desc"),
    ("close_cause=inactivity", "close_cause = 'inactivity'", LATEST),
    ("temperature=hot", "temperature = 'hot'", LATEST),
    ("stage=purchase", "stage = 'purchase'", LATEST),
    ("value_min=10000&sort=-value", "sale_value >= 10000", "sale_value desc nulls last, id desc"),
    ("value_max=10000", "sale_value <= 10000", LATEST),
    ("score_min=20", "score >= 20", LATEST),
    ("score_max=5&sort=score", "score <= 5", "score, id"),
    ("opened_from=2026-01-10&opened_to=2026-01-20", "opened_at >= '2026-01-10' and opened_at < '2026-01-20'", LATEST),
    ("closed_from=2026-01-10&closed_to=2026-01-20", "closed_at >= '2026-01-10' and closed_at < '2026-01-20'", LATEST),
    ("last_interaction_from=2026-01-10&sort=opened_at", "last_interaction_at >= '2026-01-10'", "opened_at, id"),
    ("status=closed&sort=score&channel=web", "status = 'closed' and channel = 'web'", "score, id"),
];
/// Filters, where a lead has the value to look for, and the column in SQL.
const BY_VALUE: [(&str, &str); 8] = [
    ("lead_type", "/lead_type"),
    ("skill", "/skill"),
    ("channel", "/channel"),
    ("campaign", "/campaign/name"),
    ("customer_id", "/customer_id"),
    ("email", "/contact/email"),
    ("phone", "/contact/phone"),
    ("q", "/contact/name"),
];

const CONTACT: &str = "(coalesce(name, '') || ' ' || coalesce(email, '') || ' ' || coalesce(phone, ''))";

/// How many leads a filter finds.
pub(crate) async fn count(service: &Running, filter: &str) -> anyhow::Result<u64> {
    let page = listed(service, &format!("limit=1&count=exact&{filter}")).await?;
    page.get("count").and_then(Value::as_u64).context("the listing has no count")
}

async fn listed(service: &Running, query: &str) -> anyhow::Result<Value> {
    let answer = service.client().get(service.url(&format!("/v1/leads?{query}"))).send().await?;
    ensure!(answer.status() == 200, "the service answers {}", answer.status());
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}

/// How many leads there are, and what to ask.
pub(crate) async fn all(service: &Running) -> anyhow::Result<(u64, Vec<Question>)> {
    let page = listed(service, "limit=500&count=exact").await?;
    let leads = page.get("count").and_then(Value::as_u64).context("the listing has no count")?;
    let items = page.get("items").and_then(Value::as_array).context("the listing has no leads")?;
    let mut questions: Vec<Question> = Vec::new();
    for (query, condition, order) in PLAIN {
        let name = if query.is_empty() { "all leads" } else { query };
        questions.push(paged(name, format!("/v1/leads?{query}"), condition, order));
    }
    for (filter, pointer) in BY_VALUE {
        let Some(value) = items.iter().find_map(|lead| lead.pointer(pointer)?.as_str()) else { continue };
        let value = if filter == "q" { value.split(' ').next().unwrap_or(value) } else { value };
        let url = reqwest::Url::parse_with_params("http://x/v1/leads", [(filter, value)])?;
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let text = value.replace('\'', "''");
        let condition =
            if filter == "q" { format!("{CONTACT} ilike '%{text}%'") } else { format!("{filter} = '{text}'") };
        questions.push(paged(&format!("{filter}=…"), path.clone(), &condition, LATEST));
        questions.push(paged(
            &format!("{filter}=…&sort=-value"),
            format!("{path}&sort=-value"),
            &condition,
            "sale_value desc nulls last, id desc",
        ));
    }
    questions.extend(reports());
    Ok((leads, questions))
}

fn paged(name: &str, path: String, condition: &str, order: &str) -> Question {
    let sql = format!("select * from leads where {condition} order by {order} limit 50");
    Question { name: name.to_owned(), ask: Ask::Get(path), sql, is_page: true }
}

/// Reports, and the same in SQL.
fn reports() -> Vec<Question> {
    let report = |name: &str, document: Value, sql: &str| Question {
        name: name.to_owned(),
        ask: Ask::Post("/v1/analytics/query", document),
        sql: sql.to_owned(),
        is_page: false,
    };
    let mut reports = vec![
        report(
            "leads and sales by type",
            json!({ "source": "leads", "measures": ["count", "sum:sale_value"], "dimensions": ["lead_type"] }),
            "select lead_type, count(*), sum(sale_value) from leads group by 1",
        ),
        report(
            "leads by week and channel",
            json!({ "source": "leads", "measures": ["count"], "dimensions": ["week", "channel"], "zone": "Europe/Berlin" }),
            "select date_trunc('week', opened_at at time zone 'Europe/Berlin'), channel, count(*) from leads group by 1, 2",
        ),
        report(
            "interactions by day",
            json!({ "source": "interactions", "measures": ["count"], "dimensions": ["day"], "zone": "Europe/Berlin" }),
            "select date_trunc('day', at at time zone 'Europe/Berlin'), count(*) from interactions group by 1",
        ),
        report(
            "visitors by action",
            json!({ "source": "interactions", "measures": ["count", "count_distinct:visitor_id"], "dimensions": ["action"] }),
            "select action, count(*), count(distinct visitor_id) from interactions group by 1",
        ),
        report(
            "interactions by their leads' type",
            json!({ "source": "interactions", "measures": ["count"], "dimensions": ["lead.lead_type"] }),
            "select l.lead_type, count(*) from interactions i left join leads l on l.id = i.lead_id group by 1",
        ),
        report(
            "events by day",
            json!({ "source": "events", "measures": ["count"], "dimensions": ["event", "day"] }),
            "select event, date_trunc('day', at), count(*) from lead_events group by 1, 2",
        ),
        report(
            "points by rule",
            json!({ "source": "score", "measures": ["count", "sum:points", "sum:points_now"], "dimensions": ["rule"] }),
            "select rule, count(*), sum(points), sum(points_now) from score_rows group by 1",
        ),
        report(
            "p95 of the time to convert by channel",
            json!({ "source": "leads", "measures": ["count", "p95:time_to_close"], "dimensions": ["channel"] }),
            "select channel, count(*), percentile_cont(0.95) within group (order by extract(epoch from closed_at - opened_at)) \
             from leads group by 1",
        ),
        report(
            "sales by campaign, last touch",
            json!({ "source": "attribution", "measures": ["sum:credited_value"], "dimensions": ["touch"],
                "attribution": { "model": "last_touch", "by": "campaign" } }),
            "",
        ),
    ];
    reports.push(Question {
        name: "funnel".to_owned(),
        ask: Ask::Get("/v1/analytics/funnel".to_owned()),
        sql: "select stage, count(*), percentile_cont(0.5) within group (order by stayed_ms) from lead_events \
              where event = 'stage_entered' group by 1"
            .to_owned(),
        is_page: false,
    });
    reports
}
