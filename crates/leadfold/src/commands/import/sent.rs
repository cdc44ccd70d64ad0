//! An import into a running service: lines are sent as they are, and counts are summed from what it answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use feed::FileSource;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::{Summary, check};
use crate::cli::ImportArgs;
use crate::output::bytes_bar;
use crate::remote::{Call, PageOf, Server};

/// Events of one request: enough that waiting for the disk hardly counts.
const EVENTS_MAX: usize = 500;
/// Bytes of one request, well below what a service takes.
const BYTES_FULL: usize = 4 << 20;

/// What a service answers to a request with events.
#[derive(Deserialize)]
struct EventResults {
    results: Vec<EventResult>,
}

#[derive(Deserialize)]
struct EventResult {
    result: String,
    #[serde(default)]
    events: Vec<Value>,
}

/// Sends all files, one request after the other, so that they are recorded in their order.
pub(super) fn send(server: &Server, args: &ImportArgs) -> anyhow::Result<Summary> {
    let started = Instant::now();
    let mut summary = Summary::default();
    for file in &args.files {
        check(file)?;
        send_file(server, file, &mut summary)?;
    }
    summary.position = server.head()?;
    summary.leads_open = open_leads(server, summary.position);
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

fn send_file(server: &Server, file: &Path, summary: &mut Summary) -> anyhow::Result<()> {
    let mut source = FileSource::open(file, None)?;
    let bar = bytes_bar(source.progress().bytes_total, "sending");
    let (mut lines, mut events) = (Vec::new(), 0);
    while let Some(chunk) = source.next_chunk()? {
        for line in chunk.lines() {
            if events == EVENTS_MAX || (events > 0 && lines.len() + line.len() > BYTES_FULL) {
                send_lines(server, std::mem::take(&mut lines), summary)?;
                events = 0;
            }
            lines.extend_from_slice(&as_history(line));
            lines.push(b'\n');
            events += 1;
        }
        bar.set_position(source.progress().bytes_read);
        source.recycle(chunk);
    }
    bar.finish_and_clear();
    if events == 0 { Ok(()) } else { send_lines(server, lines, summary) }
}

fn send_lines(server: &Server, lines: Vec<u8>, summary: &mut Summary) -> anyhow::Result<()> {
    let EventResults { results } = server.send(&Call::events(lines))?.json()?;
    for result in &results {
        summary.read += 1;
        match result.result.as_str() {
            "recorded" => {
                summary.recorded += 1;
                result.events.iter().for_each(|event| count(event, summary));
            }
            "duplicate" => summary.duplicates += 1,
            "conflict" => summary.conflicting += 1,
            "suppressed" => summary.suppressed += 1,
            _ => summary.quarantined += 1,
        }
    }
    Ok(())
}

fn count(event: &Value, summary: &mut Summary) {
    match event.get("event").and_then(Value::as_str).unwrap_or_default() {
        "lead_opened" => summary.leads_opened += 1,
        "conversion_recorded" => summary.leads_converted += 1,
        "lead_closed" => summary.leads_closed += 1,
        "interaction_orphaned" => summary.orphans += 1,
        _ => {}
    }
}

/// The line of an event that happened when it says. A service takes what it gets to be live: with `sent_at` it would
/// correct the time, as if the event had been sent just now. Whether two events are the same doesn't depend on it.
fn as_history(line: &[u8]) -> Cow<'_, [u8]> {
    const SENT_AT: &str = "sent_at";
    let is_named = line.windows(SENT_AT.len()).any(|bytes| bytes == SENT_AT.as_bytes());
    let without = || {
        let mut event: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_slice(line).ok()?;
        let mut data: BTreeMap<Cow<'_, str>, &RawValue> = serde_json::from_str(event.get("data")?.get()).ok()?;
        data.remove(SENT_AT).filter(|time| time.get().starts_with('"'))?;
        let data = to_raw_value(&data).ok()?;
        event.insert("data".into(), &data);
        serde_json::to_vec(&event).ok()
    };
    is_named.then(without).flatten().map_or(Cow::Borrowed(line), Cow::Owned)
}

/// How many leads are open; `None` where the key may not see that.
fn open_leads(server: &Server, position: u64) -> Option<u64> {
    let call = Call::get("/v1/leads").query("status", "open").query("count", "exact").query("limit", "1");
    let call = call.query("min_position", position.to_string());
    let page: PageOf = server.send(&call).ok()?.json().ok()?;
    page.count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_of_sending_is_left_out() {
        let cases = [
            (
                r#"{"id":"1","data":{"sent_at":"2026-01-01T00:00:00Z","channel":"w\u0065b","value":1.50}}"#,
                r#"{"data":{"channel":"w\u0065b","value":1.50},"id":"1"}"#,
            ),
            (r#"{"data":{"channel":"sent_at"}}"#, r#"{"data":{"channel":"sent_at"}}"#),
            (r#"{"data":{"sent_at":7}}"#, r#"{"data":{"sent_at":7}}"#),
            (r#"{"data":{"sent_at":"#, r#"{"data":{"sent_at":"#),
            (r#"{"id":"1"}"#, r#"{"id":"1"}"#),
        ];
        for (line, sent) in cases {
            assert_eq!(String::from_utf8_lossy(&as_history(line.as_bytes())), sent);
        }
    }
}
