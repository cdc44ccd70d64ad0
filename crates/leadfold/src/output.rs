//! What people and programs read: tables on a terminal, one JSON object a line, progress bars.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lead_domain::Time;
use serde::Serialize;

/// A bar that appears on a terminal only, and only when the work takes longer than a moment.
pub(crate) fn progress_bar(length: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec}, {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(500));
    bar
}

/// A bar over bytes, whose number may be unknown.
pub(crate) fn bytes_bar(length: Option<u64>, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr_with_hz(5));
    let template = if length.is_some() {
        "{msg} {wide_bar} {bytes}/{total_bytes}, {eta} left"
    } else {
        "{msg} {spinner} {bytes}, {bytes_per_sec}"
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// One object on a line of its own.
pub(crate) fn json_line<T: Serialize>(value: &T) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, value)?;
    out.write_all(b"\n")?;
    Ok(())
}

/// A line for people.
pub(crate) fn line(text: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{text}")?;
    Ok(())
}

/// A table with a head; without frames, so that it can be cut and pasted.
pub(crate) fn table(head: &[&str], rows: Vec<Vec<String>>) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head.to_vec());
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    for row in text.lines() {
        line(row.trim_end())?;
    }
    Ok(())
}

/// The first 16 hexadecimal digits of a state root.
pub(crate) fn short_root(root: &[u8; 32]) -> String {
    root.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A time as RFC 3339 in UTC; years beyond 0 to 9999 show as their ends.
pub(crate) fn rfc3339(time: Time) -> String {
    let millis = time.as_millis().clamp(-62_167_219_200_000, 253_402_300_799_999);
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// A time for a table: to the second, in UTC.
pub(crate) fn short_time(time: Time) -> String {
    let millis = time.as_millis().clamp(-62_167_219_200_000, 253_402_300_799_999);
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// An RFC 3339 time as a table shows it; anything else as it is.
pub(crate) fn shown_time(text: &str) -> String {
    let parsed = DateTime::parse_from_rfc3339(text);
    parsed.map_or_else(|_| text.to_owned(), |time| short_time(Time::from_millis(time.timestamp_millis())))
}
