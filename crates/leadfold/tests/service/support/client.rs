//! Asks a service over HTTP, and holds every answer to what all answers promise.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::Follow;

/// Longer than the service itself takes until it gives a request up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks a service, one request at a time.
pub(crate) struct Client {
    runtime: Runtime,
    http: reqwest::Client,
    url: String,
    headers: Vec<(String, String)>,
}

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        // Without a provider not even a client of plain HTTP can be made; an error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.timeout(PATIENCE).build().expect("a client can be made");
        Self { runtime, http, url: url.to_owned(), headers: Vec::new() }
    }

    /// The same with a header on every request.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A request to be completed.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        self.headers.iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// Sends a request, whose answer must keep what all answers promise.
    #[track_caller]
    pub(crate) fn send(&self, request: RequestBuilder) -> Answer {
        let sent = request.build().expect("a request can be built");
        let what = format!("{} {}", sent.method(), sent.url().path());
        let answer = self.runtime.block_on(async {
            let response = self.http.execute(sent).await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            // A stream of changes doesn't end.
            let endless = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
            let body = if endless { Vec::new() } else { response.bytes().await?.to_vec() };
            Ok::<_, reqwest::Error>(Answer { status, headers, body })
        });
        let answer = answer.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        answer.check(&what);
        answer
    }

    /// Sends a request whose answer may be anything, and returns its status.
    #[track_caller]
    pub(crate) fn status(&self, request: RequestBuilder) -> u16 {
        let answer = self.runtime.block_on(async { request.send().await });
        answer.unwrap_or_else(|error| panic!("{error:?}")).status().as_u16()
    }

    /// Sends a request whose answer may be anything, and returns its headers.
    #[track_caller]
    pub(crate) fn headers(&self, request: RequestBuilder) -> HeaderMap {
        let answer = self.runtime.block_on(async { request.send().await });
        answer.unwrap_or_else(|error| panic!("{error:?}")).headers().clone()
    }

    /// Begins to follow a stream of changes.
    #[track_caller]
    pub(crate) fn follow(&self, path: &str, last: Option<&str>) -> Follow {
        let request = self.request(Method::GET, path);
        Follow::begin(
            last.map_or(request.try_clone(), |last| Some(request.header("last-event-id", last))).expect("no body"),
        )
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path))
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, path).json(body))
    }

    #[track_caller]
    pub(crate) fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(body))
    }

    /// Sends one event, structured, and returns what became of it.
    #[track_caller]
    pub(crate) fn publish(&self, event: &Value) -> Value {
        let request = self.request(Method::POST, "/v1/events?wait=decided");
        let request = request.header("content-type", "application/cloudevents+json").body(event.to_string());
        let answer = self.send(request).ok(202);
        let [result] = answer["results"].as_array().expect("a list").as_slice() else { panic!("{answer}") };
        result.clone()
    }

    /// Sends one event, which must be recorded.
    #[track_caller]
    pub(crate) fn record(&self, event: &Value) -> Recorded {
        let result = self.publish(event);
        assert_eq!(result["result"], "recorded", "{result}");
        let events = result["events"].as_array().expect("a list");
        let named = |field: &str| events.iter().find_map(|event| event[field].as_str()).unwrap_or_default().to_owned();
        let lead = named("lead_id");
        let visitor = lead.split_once('-').map_or_else(|| named("visitor_id"), |(visitor, _)| visitor.to_owned());
        Recorded {
            position: result["position"].as_u64().expect("a number"),
            visitor,
            lead,
            interaction: named("interaction_id"),
        }
    }
}

/// What became of an event: its record, and the ids of what it is about, where the decision names them.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) position: u64,
    pub(crate) visitor: String,
    pub(crate) lead: String,
    pub(crate) interaction: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Every answer says where the log stood, and every error is a problem whose status is its own.
    #[track_caller]
    fn check(&self, what: &str) {
        let shown = format!("{what}: {} {:?} {}", self.status, self.headers, self.text());
        assert!(self.status < 500, "{shown}");
        assert!(self.text_of("x-leadfold-position").is_some_and(|text| text.parse::<u64>().is_ok()), "{shown}");
        if self.status >= 400 && !what.starts_with("HEAD ") {
            assert_eq!(self.text_of("content-type"), Some("application/problem+json"), "{shown}");
            let problem = self.json();
            assert_eq!(problem["status"], self.status, "{shown}");
            assert!(problem["type"].as_str().is_some_and(|name| name.starts_with("urn:leadfold:problem:")), "{shown}");
        }
    }

    /// The body of an answer that must have this status.
    #[track_caller]
    pub(crate) fn ok(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The body of a problem that must have this status and name.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, name: &str) -> Value {
        let problem = self.ok(status);
        assert_eq!(problem["type"], format!("urn:leadfold:problem:{name}"), "{problem}");
        problem
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub(crate) fn text_of(&self, header: &str) -> Option<&str> {
        self.headers.get(header).and_then(|value| value.to_str().ok())
    }

    /// Where the log stood.
    #[track_caller]
    pub(crate) fn position(&self) -> u64 {
        self.text_of("x-leadfold-position").expect("every answer has it").parse().expect("a number")
    }
}
