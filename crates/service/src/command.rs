//! From a command document to what the engine carries out.

use compact_str::CompactString;
use engine::{Adopted, Answer, Engine, EngineError, Origin, Outcome, QuarantineState, Request, Tenant};
use event_log::LogPosition;
use feed::{ClockCorrection, Entry};
use lead_domain::{Command, TenantId, Time, VisitorId};
use proto_events::Personal;
use proto_events::cloud_event::Fault;
use proto_events::command_document::{Ask, CommandDocument};
use thiserror::Error;

use crate::decode::DecoderSource;
use crate::meaning::{Meaning, meaning};

/// Why a command was not carried out. It changed nothing.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The document can't be read.
    #[error("read the command: it has {} fault(s)", faults.len())]
    Malformed {
        /// Every fault.
        faults: Vec<Fault>,
    },
    /// The quarantined input can't be taken yet either.
    #[error("take the quarantined input: it still has a fault")]
    StillFaulty {
        /// The fault.
        fault: Fault,
    },
    /// Another version of the policy is in force than the caller has seen.
    #[error("adopt the policy: version {version} is in force; read it again and decide anew")]
    PolicyChanged {
        /// The version in force; 0 where there is none yet.
        version: u32,
    },
    /// The engine said no.
    #[error(transparent)]
    Engine(EngineError),
}

/// A command with what its transport knew.
pub(crate) struct Asked {
    pub(crate) tenant: TenantId,
    /// Its name, which may be that of a tenant to come.
    pub(crate) tenant_name: Option<CompactString>,
    pub(crate) received_at: Time,
    pub(crate) feed_sequence: u64,
    pub(crate) document: CommandDocument,
}

/// What a command led to, or why it didn't; the outer error ends the process.
pub(crate) type Carried = Result<Result<Box<Answer>, CommandError>, EngineError>;

impl Asked {
    /// Whether the tenants' rules may be others afterwards.
    pub(crate) fn may_change_policies(&self) -> bool {
        matches!(self.document.ask, Ask::AdoptPolicy { .. })
    }

    /// Carries the command out; it becomes durable with the next commit.
    pub(crate) fn carry_out(self, engine: &mut Engine, source: &DecoderSource) -> Carried {
        let carried = match meaning(engine, self.tenant, self.document.ask.clone()) {
            Ok(Meaning::Command(command, personal)) => {
                self.execute(engine, command, personal.map(|personal| *personal))
            }
            Ok(Meaning::Policy(document)) => self.adopt(engine, &document),
            Ok(Meaning::Retry(position, event)) => self.release(engine, position, Release::Retry(event), source),
            Ok(Meaning::Discard(position)) => self.release(engine, position, Release::Discard, source),
            Err(error) => Err(error.into()),
        };
        match carried {
            Ok(answer) => Ok(Ok(Box::new(answer))),
            Err(CommandError::Engine(error)) if error.is_fatal() => Err(error),
            Err(error) => Ok(Err(error)),
        }
    }

    fn execute(
        &self,
        engine: &mut Engine,
        command: Command,
        personal: Option<Personal>,
    ) -> Result<Answer, CommandError> {
        let hash_key = engine.hash_key();
        // The key itself is no content: under another key the same words are another request.
        let mut content = self.document.clone();
        content.id.clear();
        let key = feed::request_key(hash_key, self.tenant, &self.document.id, &content.to_json());
        let request = Request {
            tenant: self.tenant,
            operator: self.document.operator.as_str().into(),
            at: Some(self.document.at.unwrap_or(self.received_at)),
            command,
            expected_version: self.document.if_version,
            personal,
            key: Some(key),
        };
        let origin = Origin { feed_sequence: self.feed_sequence, received_at: Some(self.received_at) };
        Ok(engine.carry_out(request, origin)?)
    }

    /// A policy may only be adopted for the tenant that it was sent for, or by somebody who may act for all.
    fn adopt(&self, engine: &mut Engine, document: &str) -> Result<Answer, CommandError> {
        if let Some(seen) = self.document.if_version {
            let tenant = engine.tenants().iter().find(|tenant| tenant.id == self.tenant);
            let version = tenant.map_or(0, |tenant| tenant.version);
            if version != seen {
                return Err(CommandError::PolicyChanged { version });
            }
        }
        let (_, adopted) = engine.adopt_for(document, self.tenant_name.as_deref())?;
        Ok(self.bare_answer(engine, matches!(adopted, Adopted::Unchanged(_))))
    }

    fn release(
        &self,
        engine: &mut Engine,
        position: LogPosition,
        release: Release,
        source: &DecoderSource,
    ) -> Result<Answer, CommandError> {
        let held = engine.quarantined(position)?;
        let record = engine.read_entry(position)?;
        let unknown = CommandError::Engine(EngineError::NotQuarantined { position });
        let of_nobody = record.header.tenant == 0;
        if held.state != QuarantineState::Held || !(of_nobody || record.header.tenant == self.tenant.0) {
            return Err(unknown);
        }
        let entry = match release {
            Release::Discard => None,
            Release::Retry(event) => {
                let bytes = event.or(held.bytes).ok_or(unknown)?;
                let decoder = &mut source.decoder(engine.tenants().iter().map(Tenant::rules).collect());
                Some(decoder.retried(&bytes, self.tenant, position, held.received_at)?)
            }
        };
        let outcome = engine.release(position, self.document.operator.as_str().into(), entry)?;
        let mut answer = self.bare_answer(engine, false);
        if let Some(Outcome::Recorded(at) | Outcome::Duplicate(at) | Outcome::Conflict(at)) = outcome {
            answer.position = at;
            answer.events = engine.read_entry(at)?.facts.events;
        }
        Ok(answer)
    }

    fn bare_answer(&self, engine: &Engine, repeated: bool) -> Answer {
        let at = self.received_at;
        Answer {
            position: engine.decided(),
            visitor: VisitorId(0),
            at,
            events: Vec::new(),
            leads: Vec::new(),
            repeated,
        }
    }
}

/// What becomes of a quarantined input.
enum Release {
    Discard,
    /// With these bytes, or else as it was kept.
    Retry(Option<Vec<u8>>),
}

impl crate::decode::Decoder {
    /// Reads a quarantined input once more.
    fn retried(
        &mut self,
        bytes: &[u8],
        tenant: TenantId,
        position: LogPosition,
        received_at: Time,
    ) -> Result<Entry, CommandError> {
        let origin = feed::Origin {
            name: "quarantine",
            feed_sequence: position.0,
            tenant: Some(tenant),
            clock: ClockCorrection::History,
        };
        let unknown = |_| CommandError::Engine(EngineError::NotQuarantined { position });
        match self.0.decode(bytes, origin, received_at).map_err(unknown)? {
            Entry::Rejected(rejected) => {
                let facts = &rejected.facts;
                let message = facts.message_text.as_str();
                let fault = Fault { path: facts.path.as_str().to_owned(), ..Fault::new("", "still_faulty", message) };
                Err(CommandError::StillFaulty { fault })
            }
            entry @ Entry::Interaction(_) => Ok(entry),
        }
    }
}

impl From<EngineError> for CommandError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
