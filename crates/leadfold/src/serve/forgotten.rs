//! Takes the messages of erased people out of the feed: when they are erased, and on starting what is left of that.
//!
//! ```text
//! DIR/cursors/erased-feed.json    the last erasure whose messages are gone
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use engine::{EngineError, Parts, TimelineQuery};
use event_log::LogPosition;
use http_api::{FeedErasing, FeedErasure, Forgetting};
use jetstream::{LEADFOLD_IN, Unwanted};
use lead_domain::{TenantId, VisitorId};
use proto_events::stored::InputFacts;
use service::ServiceHandle;

use super::nats::{LateNats, Nats};

/// The messages of the feed that erased people's records came from.
pub(crate) struct FeedEraser {
    nats: LateNats,
    service: ServiceHandle,
}

impl FeedEraser {
    pub(crate) const fn new(nats: LateNats, service: ServiceHandle) -> Self {
        Self { nats, service }
    }

    async fn forget(&self, visitor: VisitorId) -> FeedErasure {
        let refused = |reason: String| FeedErasure { refused: Some(reason), ..FeedErasure::default() };
        let Some(nats) = self.nats.get() else { return refused("the feed is not connected yet".to_owned()) };
        match erase(nats, &self.service, visitor).await {
            Ok(done) => done,
            Err(error) => refused(format!("cannot {error:#}")),
        }
    }
}

impl FeedErasing for FeedEraser {
    fn forget(&self, visitor: VisitorId) -> Forgetting<'_> {
        Box::pin(self.forget(visitor))
    }
}

async fn erase(nats: &Nats, service: &ServiceHandle, visitor: VisitorId) -> anyhow::Result<FeedErasure> {
    let heads = service.with_engine(move |engine| engine.stream_heads(visitor)).await??;
    let last = heads.iter().copied().max().unwrap_or_default();
    let unwanted = service.read_records(last, move |parts| messages(parts, heads, visitor)).await??;
    match nats.erase(&unwanted).await {
        Ok(done) => Ok(FeedErasure { erased: done.erased, missing: done.missing, refused: None }),
        Err(error) => Ok(FeedErasure { refused: Some(format!("cannot {error}")), ..FeedErasure::default() }),
    }
}

/// The messages that the visitor's records came from, and inputs that were not taken and went with them.
fn messages(parts: &Parts, heads: Vec<LogPosition>, visitor: VisitorId) -> Result<Vec<Unwanted>, EngineError> {
    let all = TimelineQuery { visitor, lead: None, limit: usize::MAX, before: None };
    let timeline = parts.timeline(heads, &all)?;
    let mut headers: Vec<_> = timeline.iter().map(|entry| entry.header).collect();
    for entry in &timeline {
        if let InputFacts::Erasure(erasure) = &entry.facts.input {
            headers.extend(parts.untaken_under(TenantId(entry.header.tenant), &erasure.untaken_keys)?);
        }
    }
    let from_feed = headers.iter().filter(|header| header.feed_sequence > 0);
    let mut unwanted: Vec<Unwanted> =
        from_feed.map(|header| Unwanted { sequence: header.feed_sequence, published_at: header.received_at }).collect();
    unwanted.sort_unstable();
    unwanted.dedup();
    Ok(unwanted)
}

/// Goes through the erasures whose messages may still be there. What fails is tried again with the next start.
pub(crate) async fn finish(nats: Nats, service: ServiceHandle, data: PathBuf) {
    let cursor = data.join("cursors").join("erased-feed.json");
    let erasures = match service.with_engine(|engine| engine.erasures()).await {
        Ok(Ok(erasures)) => erasures,
        Ok(Err(_)) | Err(_) => return,
    };
    let done = read(&cursor);
    for (position, visitor) in erasures.into_iter().filter(|(position, _)| *position > done) {
        match erase(&nats, &service, visitor).await {
            Ok(FeedErasure { refused: None, .. }) => write(&cursor, position),
            Ok(FeedErasure { refused: Some(reason), .. }) => {
                tracing::warn!(stream = LEADFOLD_IN, reason, "messages of erased visitors are still in the feed");
                return;
            }
            Err(error) => {
                tracing::warn!(stream = LEADFOLD_IN, %error, "messages of erased visitors may still be in the feed");
                return;
            }
        }
    }
}

fn read(path: &Path) -> LogPosition {
    let text = fs::read_to_string(path).unwrap_or_default();
    LogPosition(serde_json::from_str(&text).unwrap_or_default())
}

/// A cursor that is lost only means that the server is asked again.
fn write(path: &Path, position: LogPosition) {
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    if let Err(error) = folder.and_then(|()| fs::write(path, position.0.to_string())) {
        tracing::warn!(%error, "how far the feed was cleaned can't be kept");
    }
}
