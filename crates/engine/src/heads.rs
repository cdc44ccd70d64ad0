//! Signed heads of the log, which stand in it: each covers the records in front of it. Signs nothing and checks nothing.
//!
//! ```text
//! facts  "signed-head" → position u64 of the newest; each names the one before
//! ```

use event_log::{LogError, LogPosition, Table};
use lead_domain::{TenantId, Time};
use proto_events::stored::{InputFacts, SignedHead};
use proto_events::text::Text;

use crate::batch::Pending;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::options::Parts;
use crate::timeline::facts_at;

const NEWEST: &[u8] = b"signed-head";

/// A signed head in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedHead {
    /// Its record.
    pub position: LogPosition,
    /// When it was recorded.
    pub recorded_at: Time,
    /// How many records it covers.
    pub size: u64,
    /// The signed note.
    pub note: String,
}

impl Engine {
    /// Records a signed head. Decided on return, durable after [`Engine::flush`].
    ///
    /// # Errors
    /// When the storage fails; the process must stop then.
    pub fn record_signed_head(&mut self, size: u64, note: &str) -> Result<LogPosition, EngineError> {
        let previous = self.newest_signed_head()?.0;
        let position = self.next_position();
        let now = self.options.clock.now();
        let head = InputFacts::SignedHead(SignedHead { previous, size, note: Text::from(note) });
        self.push(position, Pending::bare(&head, TenantId(0), now, now));
        self.note_signed_head(position);
        self.commit(None)?;
        Ok(position)
    }

    /// The record of the newest signed head; [`LogPosition::START`] where there is none.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn newest_signed_head(&self) -> Result<LogPosition, EngineError> {
        let row = self.library.row(Table::Facts, NEWEST)?;
        let position = row.as_deref().map(<[u8; 8]>::try_from).transpose();
        let position = position.map_err(|_| EngineError::Row { table: Table::Facts.name() })?;
        Ok(LogPosition(position.map_or(0, u64::from_be_bytes)))
    }

    pub(crate) fn note_signed_head(&mut self, position: LogPosition) {
        self.library.put_row(Table::Facts, NEWEST.to_vec(), Some(position.to_key().to_vec()));
    }
}

impl Parts {
    /// At most `limit` signed heads, newest first, from the one at `newest`.
    ///
    /// # Errors
    /// When the log fails, or has no signed head there.
    pub fn signed_heads(&self, newest: LogPosition, limit: usize) -> Result<Vec<RecordedHead>, EngineError> {
        let mut heads = Vec::new();
        let mut position = newest;
        while position > LogPosition::START && heads.len() < limit {
            let (header, facts) = facts_at(self.log.as_ref(), position)?.ok_or(LogError::Missing { position })?;
            let InputFacts::SignedHead(SignedHead { previous, size, note }) = facts.input else {
                return Err(LogError::Missing { position }.into());
            };
            let recorded_at = Time::from_millis(header.recorded_at);
            heads.push(RecordedHead { position, recorded_at, size, note: note.as_str().to_owned() });
            position = LogPosition(previous);
        }
        Ok(heads)
    }
}
