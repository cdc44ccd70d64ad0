//! Follows a stream of server-sent events, one change after the other.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::runtime::Runtime;

/// How long a change may take to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// A change as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: String,
    pub(crate) event: String,
    pub(crate) data: Value,
}

/// A stream that is being read.
pub(crate) struct Follow {
    runtime: Runtime,
    response: Response,
    text: String,
}

impl Follow {
    #[track_caller]
    pub(crate) fn begin(request: RequestBuilder) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        // A client of its own: connections belong to the runtime that opened them.
        let request = request.build().expect("a request can be built");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client can be made");
        let response = runtime.block_on(async { http.execute(request).await }).expect("the service answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { runtime, response, text: String::new() }
    }

    /// The next change.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Change {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (change, rest) = (change(block), rest.to_owned());
                self.text = rest;
                if let Some(change) = change {
                    return change;
                }
            }
            let chunk = async { tokio::time::timeout(PATIENCE, self.response.chunk()).await };
            let chunk = self.runtime.block_on(chunk).expect("a change arrives in time");
            let chunk = chunk.expect("the stream can be read").expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&chunk).expect("changes are UTF-8"));
        }
    }

    /// So many changes.
    #[track_caller]
    pub(crate) fn take(&mut self, count: usize) -> Vec<Change> {
        (0..count).map(|_| self.next()).collect()
    }
}

/// The change of one block of lines; `None` for a comment.
fn change(block: &str) -> Option<Change> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let data = serde_json::from_str(field("data")?).expect("data is JSON");
    Some(Change { id: field("id")?.to_owned(), event: field("event")?.to_owned(), data })
}
