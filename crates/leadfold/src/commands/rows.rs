//! Rows that commands list, wherever they come from, and the pages that they come in.

use std::marker::PhantomData;

use anyhow::Context;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::output::json_line;
use crate::remote::{Answer, Call, PageOf, Server, UNREADABLE};

/// Rows read in one go.
const PAGE: u64 = 500;

/// A row of a list: one of ours, or JSON as a service sent it, which may tell more than this program knows.
pub(crate) enum Row<T> {
    Ours(T),
    Sent(Box<RawValue>, PhantomData<T>),
}

impl<T: Serialize + DeserializeOwned> Row<T> {
    /// A row that a service sent.
    pub(crate) const fn sent(json: Box<RawValue>) -> Self {
        Self::Sent(json, PhantomData)
    }

    /// The row that an answer consists of.
    pub(crate) fn only(json: &[u8]) -> anyhow::Result<Self> {
        Ok(Self::sent(serde_json::from_slice(json).context(UNREADABLE)?))
    }

    /// Prints it as one line of JSON.
    pub(crate) fn print_json(&self) -> anyhow::Result<()> {
        match self {
            Self::Ours(row) => json_line(row),
            Self::Sent(json, _) => json_line(json),
        }
    }

    /// The row itself.
    pub(crate) fn into_inner(self) -> anyhow::Result<T> {
        match self {
            Self::Ours(row) => Ok(row),
            Self::Sent(json, _) => serde_json::from_str(json.get()).context(UNREADABLE),
        }
    }
}

/// Which page to read.
pub(crate) struct Wanted {
    pub(crate) cursor: Option<String>,
    /// At least 1.
    pub(crate) limit: u32,
    pub(crate) is_first: bool,
}

impl Wanted {
    /// A request for that page.
    fn asked_by(&self, call: Call) -> Call {
        let call = call.query("limit", self.limit.to_string());
        match &self.cursor {
            Some(cursor) => call.query("cursor", cursor.clone()),
            None => call,
        }
    }

    /// The same page at its full length, for a list of which only some rows count.
    pub(crate) fn whole(&self) -> Self {
        Self { cursor: self.cursor.clone(), limit: PAGE as u32, is_first: self.is_first }
    }
}

/// A page of a list.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<Row<T>>,
    pub(crate) next_cursor: Option<String>,
    pub(crate) count: Option<u64>,
}

impl<T: Serialize + DeserializeOwned> Page<T> {
    /// Asks a service for a page of a list.
    pub(crate) fn sent(server: &Server, call: Call, wanted: &Wanted) -> anyhow::Result<Self> {
        Self::of(&server.send(&wanted.asked_by(call))?)
    }

    fn of(answer: &Answer) -> anyhow::Result<Self> {
        let PageOf { items, next_cursor, count } = answer.json()?;
        Ok(Self { items: items.into_iter().map(Row::sent).collect(), next_cursor, count })
    }

    /// The same for what a listing holds: it holds everything that is durable when the first page is asked for.
    pub(crate) fn listed(server: &Server, call: Call, wanted: &Wanted) -> anyhow::Result<Self> {
        let call = wanted.asked_by(call);
        Self::of(&if wanted.is_first { server.listed(call)? } else { server.send(&call)? })
    }
}

/// Reads page after page and hands on at most `limit` rows that are wanted. Returns the count that the first page told.
pub(crate) fn each_row<T>(
    limit: u64,
    mut read: impl FnMut(&Wanted) -> anyhow::Result<Page<T>>,
    mut take: impl FnMut(Row<T>) -> anyhow::Result<Taken>,
) -> anyhow::Result<Option<u64>> {
    let (mut left, mut count) = (limit, None);
    let mut wanted = Wanted { cursor: None, limit: 1, is_first: true };
    while left > 0 {
        wanted.limit = u32::try_from(left.min(PAGE)).unwrap_or(1);
        let page = read(&wanted)?;
        count = count.or(page.count);
        for row in page.items {
            if left > 0 && take(row)? == Taken::Yes {
                left -= 1;
            }
        }
        match page.next_cursor {
            Some(cursor) => wanted = Wanted { cursor: Some(cursor), is_first: false, ..wanted },
            None => break,
        }
    }
    Ok(count)
}

/// Whether a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    No,
}
