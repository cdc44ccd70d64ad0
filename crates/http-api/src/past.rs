//! Answers about the past: which one is asked for, and a lead as it was then.

use lead_domain::{LeadId, TenantId, Time};
use listing::LeadRow;
use service::{Past, PastError, Streams, When};

use crate::answer::At;
use crate::problem::Problem;
use crate::shown::take;
use crate::state::Api;

/// Takes the past that a query asks for out of it; `None` for the present.
pub(crate) fn when(api: &Api, pairs: &mut Vec<(String, String)>) -> Result<Option<When>, Problem> {
    let mut time = |name: &str| take(pairs, name).map(|value| read(api, name, &value)).transpose();
    let when = When { as_of: time("as_of")?, known_at: time("known_at")? };
    Ok((when != When::default()).then_some(when))
}

fn read(api: &Api, name: &str, value: &str) -> Result<Time, Problem> {
    let wrong = |message: String| Problem::field(name, "invalid_value", message);
    let parsed = chrono::DateTime::parse_from_rfc3339(value);
    let time = parsed.map_err(|_| wrong(format!("{name} must be an RFC 3339 time.")))?;
    let time = Time::from_millis(time.timestamp_millis());
    if time > api.service.now() {
        return Err(wrong(format!("{name} lies in the future, of which nothing is known yet.")));
    }
    Ok(time)
}

/// A lead as it was.
pub(crate) async fn lead(api: &Api, tenant: TenantId, id: LeadId, when: When) -> Result<At<LeadRow>, Problem> {
    let unknown = || Problem::not_found("lead");
    let folder = api.options.past_folder.clone().ok_or_else(unknown)?;
    let streams = api.service.with_engine(move |engine| Streams::find(engine, tenant, id.visitor, when)).await??;
    let streams = streams.ok_or_else(unknown)?;
    let last = streams.heads.iter().copied().max().unwrap_or_default();
    let found = api.service.read_records(last, move |parts| {
        Ok(Past::of_streams(parts, streams, when, &folder)
            .and_then(|past| Ok((past.reader()?.lead(tenant, id)?.0, past.position()))))
    });
    match found.await?? {
        Ok((Some(lead), position)) => Ok(At::new(position, lead)),
        Ok((None, _)) => Err(unknown()),
        Err(PastError::Engine(error)) => Err(error.into()),
        Err(error) => Err(Problem::internal(&error)),
    }
}
