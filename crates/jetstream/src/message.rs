//! One message of a stream, as it was published.

use bytes::Bytes;

/// The headers of a message: pairs of name and value, ordered by name; values of one name stay in their order.
///
/// The same message always has the same order, whichever client library it went through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The first value of that name. Upper and lower case are the same.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn of(map: Option<&async_nats::HeaderMap>) -> Self {
        let pairs = map.into_iter().flat_map(async_nats::HeaderMap::iter);
        let pairs = pairs.flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        pairs.map(|(name, value)| (name.to_string(), value.as_str().trim().to_owned())).collect()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        pairs.sort_by(|one: &(String, String), other| one.0.cmp(&other.0));
        Self(pairs)
    }
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number in the stream, from 1. Numbers rise, but some may be missing.
    pub sequence: u64,
    /// Where it was published to; [`crate::Subject::parse`] reads it.
    pub subject: String,
    /// What was published with it.
    pub headers: Headers,
    /// What was published. It shares memory with what was read next to it: copy what is kept for long.
    pub payload: Bytes,
    /// When the server stored it, in milliseconds since 1970.
    pub published_at: i64,
}
