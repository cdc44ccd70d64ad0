//! Limits of the API, each with a default.

use std::path::PathBuf;
use std::time::Duration;

/// Limits of the API, each with a default.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// Bytes of a request's body, after decompression: 10 MiB.
    pub body_bytes_max: usize,
    /// How long a request may take before it is answered with 408. Streams of changes are exempt.
    pub request_timeout: Duration,
    /// Requests under way at the same time; more are answered with 503.
    pub requests_max: usize,
    /// Events of one request.
    pub events_max: usize,
    /// How long a read waits for `min_position`, and a command for the listing.
    pub listing_wait: Duration,
    /// Where copies of the log are made for backups; without it none are.
    pub checkpoint_folder: Option<PathBuf>,
    /// How long a question about the past waits for its model; that is built on, for who asks again.
    pub past_wait: Duration,
    /// Origins whose pages may call the API from a browser; none by default.
    pub cors_origins: Vec<String>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            body_bytes_max: 10 << 20,
            request_timeout: Duration::from_secs(30),
            requests_max: 512,
            events_max: 10_000,
            listing_wait: Duration::from_secs(5),
            checkpoint_folder: None,
            past_wait: Duration::from_secs(20),
            cors_origins: Vec::new(),
        }
    }
}
