//! What operators do over HTTP: each act, what it leads to, and what is there afterwards.

mod leads;
mod others;
mod pages;

use serde_json::Value;

/// The words of the events that something led to.
fn words(answer: &Value) -> Vec<&str> {
    answer["events"].as_array().expect("a list").iter().map(|event| event["event"].as_str().expect("text")).collect()
}
