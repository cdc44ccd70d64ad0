//! From a command document to what the engine carries out.

use compact_str::CompactString;
use engine::{
    Answer, Engine, EngineError, Origin, PolicyRequest, QuarantineState, Release, Request, SuppressionRequest, Tenant,
};
use event_log::LogPosition;
use feed::{ClockCorrection, Entry, InteractionEntry};
use lead_domain::{Command, TenantId, Time};
use proto_events::cloud_event::Fault;
use proto_events::command_document::{Ask, CommandDocument, Rescore};
use proto_events::stored::RequestKey;
use proto_events::{Personal, policy_document};
use thiserror::Error;

use crate::decode::{DecoderSource, NOBODY};
use crate::meaning::{Meaning, Suppression, identifiers, meaning};

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
            Ok(Meaning::Policy(document, rescore)) => self.adopt(engine, &document, rescore),
            Ok(Meaning::Retry(position, event)) => self.release(engine, position, Ending::Retry(event), source),
            Ok(Meaning::Suppression(asked)) => self.suppress(engine, &asked),
            Ok(Meaning::Discard(position)) => self.release(engine, position, Ending::Discard, source),
            Err(error) => Err(error.into()),
        };
        match carried {
            Ok(answer) => Ok(Ok(Box::new(answer))),
            Err(CommandError::Engine(error)) if error.is_fatal() => Err(error),
            Err(error) => Ok(Err(error)),
        }
    }

    /// What the command is remembered by.
    fn key(&self, engine: &Engine, tenant: TenantId) -> RequestKey {
        // The key itself is no content: under another key the same words are another request.
        let mut content = self.document.clone();
        content.id.clear();
        feed::request_key(engine.hash_key(), tenant, &self.document.id, &content.to_json())
    }

    fn origin(&self) -> Origin {
        Origin { feed_sequence: self.feed_sequence, received_at: Some(self.received_at) }
    }

    fn execute(
        &self,
        engine: &mut Engine,
        command: Command,
        personal: Option<Personal>,
    ) -> Result<Answer, CommandError> {
        let request = Request {
            tenant: self.tenant,
            operator: self.document.operator.as_str().into(),
            at: Some(self.document.at.unwrap_or(self.received_at)),
            command,
            expected_version: self.document.if_version,
            personal,
            key: Some(self.key(engine, self.tenant)),
        };
        Ok(engine.carry_out(request, self.origin())?)
    }

    fn suppress(&self, engine: &mut Engine, asked: &Suppression) -> Result<Answer, CommandError> {
        let named = identifiers(engine, self.tenant, &asked.whom);
        let request = SuppressionRequest {
            tenant: self.tenant,
            operator: self.document.operator.as_str().into(),
            at: Some(self.document.at.unwrap_or(self.received_at)),
            reason: asked.reason.as_str().into(),
            lifted: asked.lifted,
            visitor: asked.whom.visitor_id,
            identifiers: named.map_err(|faults| CommandError::Malformed { faults })?,
            key: Some(self.key(engine, self.tenant)),
        };
        Ok(engine.carry_out_suppression(request, self.origin())?)
    }

    /// A policy may only be adopted for the tenant that it was sent for, or by somebody who may act for all.
    fn adopt(&self, engine: &mut Engine, document: &str, rescore: Rescore) -> Result<Answer, CommandError> {
        let only = self.tenant_name.as_deref();
        // By the name: the first policy makes the tenant, and its repetition finds it there.
        let tenant = match only {
            Some(name) => engine.tenant_number(name),
            None => {
                let draft = policy_document::read(document, None);
                let draft = draft.map_err(|faults| CommandError::Engine(EngineError::Policy { faults }))?;
                engine.tenant_number(&draft.policy.tenant)
            }
        };
        let key = Some(self.key(engine, tenant));
        if let Some(answer) = engine.carried_out_before(key)? {
            return Ok(answer);
        }
        if let Some(seen) = self.document.if_version {
            let known = engine.tenants().iter().find(|known| known.id == tenant);
            let version = known.map_or(0, |known| known.version);
            if version != seen {
                return Err(CommandError::PolicyChanged { version });
            }
        }
        Ok(engine.carry_out_policy(&PolicyRequest { document, only, key, rescore }, self.origin())?)
    }

    fn release(
        &self,
        engine: &mut Engine,
        position: LogPosition,
        ending: Ending,
        source: &DecoderSource,
    ) -> Result<Answer, CommandError> {
        let key = Some(self.key(engine, self.tenant));
        if let Some(answer) = engine.carried_out_before(key)? {
            return Ok(answer);
        }
        let held = engine.quarantined(position)?;
        let unknown = CommandError::Engine(EngineError::NotQuarantined { position });
        let of_nobody = held.tenant == NOBODY;
        if held.state != QuarantineState::Held || !(of_nobody || held.tenant == self.tenant) {
            return Err(unknown);
        }
        let taken = match ending {
            Ending::Discard => None,
            Ending::Retry(event) => {
                let bytes = event.or(held.bytes).ok_or(unknown)?;
                let decoder = &mut source.decoder(engine.tenants().iter().map(Tenant::rules).collect());
                Some(decoder.retried(&bytes, self.tenant, position, held.received_at)?)
            }
        };
        let operator = self.document.operator.as_str().into();
        Ok(engine.carry_out_release(Release { position, operator, taken, key }, self.origin())?)
    }
}

/// What becomes of a quarantined input.
enum Ending {
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
    ) -> Result<Box<InteractionEntry>, CommandError> {
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
            Entry::Interaction(entry) => Ok(entry),
        }
    }
}

impl From<EngineError> for CommandError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}
