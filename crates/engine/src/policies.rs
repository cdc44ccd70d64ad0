//! Policies: put in force like any other input, and their history. What a policy says is the decider's business.

use event_log::{LogPosition, Table};
use lead_domain::policy::Fault;
use lead_domain::{TenantId, Time, VisitorId};
use proto_events::command_document::Rescore;
use proto_events::stored::{InputFacts, RequestKey, StoredPolicy};

use crate::batch::Pending;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::operator::{Answer, Origin};
use crate::registry::{Adopted, PolicyVersion, policy_key, policy_value, stored_version};
use crate::rescoring::UnderWay;

/// A policy that somebody asks to put in force.
#[derive(Clone, Copy, Debug)]
pub struct PolicyRequest<'a> {
    /// The document (TOML).
    pub document: &'a str,
    /// The only tenant that it may be for; any where absent.
    pub only: Option<&'a str>,
    /// The key that it was sent under: a second request under it is answered with what the first one led to.
    pub key: Option<RequestKey>,
    /// Which leads are scored anew by it.
    pub rescore: Rescore,
}

/// A policy in force, and the record that put it there.
struct InForce {
    tenant: TenantId,
    adopted: Adopted,
    position: LogPosition,
    at: Time,
    /// Whether scoring open leads anew was chosen with it.
    rescored: bool,
}

impl Engine {
    /// Adopts a policy for its tenant, a new one or a known one. Durable on return.
    ///
    /// # Errors
    /// [`EngineError::Policy`] with every fault; nothing changes then.
    pub fn adopt(&mut self, document: &str) -> Result<(TenantId, Adopted), EngineError> {
        self.adopt_and_rescore(document, Rescore::None)
    }

    /// Adopts a policy, and chooses whether open leads are scored anew by it, which [`Engine::rescore`] does. Durable on
    /// return. A policy that is in force already can be chosen for that too.
    ///
    /// # Errors
    /// As [`Engine::adopt`], and [`EngineError::RescoringUnderWay`].
    pub fn adopt_and_rescore(&mut self, document: &str, rescore: Rescore) -> Result<(TenantId, Adopted), EngineError> {
        let request = PolicyRequest { document, only: None, key: None, rescore };
        let InForce { tenant, adopted, .. } = self.put_in_force(&request, Origin::default())?;
        self.flush()?;
        Ok((tenant, adopted))
    }

    /// Adopts a policy that a feed brought. Decided on return; goes to the log with [`Engine::commit`]. One that is in force
    /// already, byte for byte, is answered as a repetition; it is not recorded, and its key stays free.
    ///
    /// # Errors
    /// As [`Engine::adopt`], and [`EngineError::KeyReused`]; a policy of another tenant has a fault at `tenant`.
    pub fn carry_out_policy(&mut self, request: &PolicyRequest<'_>, origin: Origin) -> Result<Answer, EngineError> {
        if let Some(answer) = self.carried_out_before(request.key)? {
            return Ok(answer);
        }
        let InForce { adopted, position, at, rescored, .. } = self.put_in_force(request, origin)?;
        let repeated = matches!(adopted, Adopted::Unchanged(_)) && !rescored;
        Ok(Answer { position, visitor: VisitorId(0), at, events: Vec::new(), leads: Vec::new(), repeated })
    }

    fn put_in_force(&mut self, request: &PolicyRequest<'_>, origin: Origin) -> Result<InForce, EngineError> {
        let PolicyRequest { document, only, key, rescore } = *request;
        let draft = proto_events::policy_document::read(document, None);
        let draft = draft.map_err(|faults| EngineError::Policy { faults })?;
        let name = draft.policy.tenant.clone();
        if let Some(only) = only.filter(|only| name != *only) {
            let fault = Fault::new("tenant", "other_tenant", format!("must be \"{only}\" here"));
            return Err(EngineError::Policy { faults: vec![fault] });
        }
        let tenant = self.registry.id_for(&name);
        let version = self.registry.get(tenant).map_or(0, |tenant| tenant.version);
        if version > 0
            && let Some(known) = self.policy_version(tenant, version)?
            && known.document == document
        {
            return Ok(self.keep_in_force(tenant, &known, request));
        }
        let under_way = self.rescoring.get(&tenant).map(UnderWay::policy_version);
        if let Some(version) = under_way.filter(|_| rescore == Rescore::None) {
            return Err(EngineError::RescoringUnderWay { version });
        }
        let version = version.saturating_add(1);
        self.registry.adopt(tenant, version, document).map_err(|faults| EngineError::Policy { faults })?;
        let now = self.options.clock.now();
        let position = self.next_position();
        let input = InputFacts::Policy(StoredPolicy {
            version,
            tenant: name.into(),
            document: document.to_owned(),
            request: key,
        });
        let mut record = Pending::bare(&input, tenant, now, origin.received_at.unwrap_or(now));
        record.feed_sequence = origin.feed_sequence;
        self.push(position, record);
        self.note_policy(tenant, version, position, now, document);
        self.remember_request(key, position);
        // A tenant's first policy finds no leads.
        let rescored = rescore == Rescore::Open && version > 1;
        if rescored {
            self.choose_rescoring(tenant, None);
        }
        Ok(InForce { tenant, adopted: Adopted::Version(version), position, at: now, rescored })
    }

    /// Leaves a policy in force that is, and chooses to score open leads by it if that is asked for and not under way.
    fn keep_in_force(&mut self, tenant: TenantId, known: &PolicyVersion, request: &PolicyRequest<'_>) -> InForce {
        let rescored = request.rescore == Rescore::Open && !self.rescoring.contains_key(&tenant);
        let (position, at) = if rescored {
            (self.choose_rescoring(tenant, request.key), self.options.clock.now())
        } else {
            (known.position, known.adopted_at)
        };
        InForce { tenant, adopted: Adopted::Unchanged(known.version), position, at, rescored }
    }

    pub(crate) fn note_policy(
        &mut self,
        tenant: TenantId,
        version: u32,
        position: LogPosition,
        adopted_at: Time,
        document: &str,
    ) {
        let value = policy_value(position, adopted_at, document);
        self.library.put_row(Table::Facts, policy_key(tenant, version), Some(value));
    }

    /// One version of a tenant's policy; `None` when there is no such version.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn policy_version(&self, tenant: TenantId, version: u32) -> Result<Option<PolicyVersion>, EngineError> {
        let row = self.library.row(Table::Facts, &policy_key(tenant, version))?;
        row.map(|value| stored_version(version, &value)).transpose()
    }

    /// The number that the tenant of that name has, or will have once a policy makes it.
    #[must_use]
    pub fn tenant_number(&self, name: &str) -> TenantId {
        self.registry.id_for(name)
    }
}
