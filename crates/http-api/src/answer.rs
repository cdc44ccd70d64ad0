//! Answers: JSON with the position that it was true at, and an entity tag where there is a version.

use axum::Json;
use axum::response::{IntoResponse, Response};
use event_log::LogPosition;
use http::{HeaderName, HeaderValue, StatusCode, header};
use listing::Page;
use serde::Serialize;
use utoipa::ToSchema;

/// The header that carries the log position that an answer was true at.
pub(crate) const POSITION_HEADER: HeaderName = HeaderName::from_static("x-leadfold-position");

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageOf<T> {
    /// The rows, in order.
    pub(crate) items: Vec<T>,
    /// What to send as `cursor` for the next page; `null` on the last one.
    pub(crate) next_cursor: Option<String>,
    /// The log position that the page was true at.
    pub(crate) position: u64,
    /// How many rows match in all, with `count=exact`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

/// An answer at a position.
pub(crate) struct At<T> {
    pub(crate) status: StatusCode,
    pub(crate) position: LogPosition,
    /// The version of what is answered, for `ETag`.
    pub(crate) version: Option<u32>,
    pub(crate) body: T,
}

impl<T> At<T> {
    pub(crate) const fn new(position: LogPosition, body: T) -> Self {
        Self { status: StatusCode::OK, position, version: None, body }
    }

    pub(crate) const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) const fn version(mut self, version: Option<u32>) -> Self {
        self.version = version;
        self
    }
}

impl<T> At<PageOf<T>> {
    /// A page of the listing.
    pub(crate) fn page(page: Page<T>) -> Self {
        let Page { items, next_cursor, position, count } = page;
        Self::new(position, PageOf { items, next_cursor, position: position.0, count })
    }
}

impl<T: Serialize> IntoResponse for At<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(POSITION_HEADER, HeaderValue::from(self.position.0));
        let tag = self.version.and_then(|version| HeaderValue::from_str(&format!("\"{version}\"")).ok());
        if let Some(tag) = tag {
            headers.insert(header::ETAG, tag);
        }
        response
    }
}
