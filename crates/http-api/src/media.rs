//! What a body is, as its headers say. Reads no body.

use http::{HeaderMap, header};

/// The media type of a body in small letters, without its parameters; empty where there is none.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
