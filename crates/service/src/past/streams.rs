//! The streams of one visitor, found while the engine has a moment, to be read by somebody else.

use engine::{Engine, EngineError, When};
use event_log::LogPosition;
use lead_domain::{TenantId, VisitorId};
use proto_events::policy_document::{self, PolicyDocument};

/// The streams of one visitor.
#[derive(Debug)]
pub struct Streams {
    /// Whose they are.
    pub visitor: VisitorId,
    /// Their last records.
    pub heads: Vec<LogPosition>,
    /// Whose visitor that is.
    pub tenant: TenantId,
    /// The tenant's policy, by which points lapse.
    pub policy: PolicyDocument,
}

impl Streams {
    /// Finds them, with the policy that was adopted last by then. `None` for a visitor of no or another tenant.
    ///
    /// # Errors
    /// When the tables fail.
    pub fn find(
        engine: &mut Engine,
        tenant: TenantId,
        visitor: VisitorId,
        when: When,
    ) -> Result<Option<Self>, EngineError> {
        let Some(found) = engine.tenants().iter().find(|found| found.id == tenant) else { return Ok(None) };
        let (in_force, mut version) = (found.document.clone(), found.version);
        if engine.book(tenant, visitor).is_err() {
            return Ok(None);
        }
        let mut stored = engine.policy_version(tenant, version)?;
        while let (Some(later), Some(time)) = (&stored, when.time())
            && later.adopted_at > time
            && version > 1
        {
            version -= 1;
            let Some(earlier) = engine.policy_version(tenant, version)? else { break };
            stored = Some(earlier);
        }
        // What stands in the log was checked when it was adopted.
        let read = stored.and_then(|stored| policy_document::read(&stored.document, None).ok());
        let policy = read.unwrap_or(in_force);
        let heads = engine.stream_heads(visitor)?;
        Ok(Some(Self { visitor, heads, tenant, policy }))
    }
}
