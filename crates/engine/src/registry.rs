//! Tenants and their policies, every version of them.
//!
//! ```text
//! facts  "policy/" tenant u32 version u32 → position u64 | adopted_at i64 | document …
//! facts  "clock/" tenant u32              → i64
//! ```

use event_log::{LogPosition, Rows, Table, Tables};
use feed::TenantRules;
use lead_domain::{Name, Policy, TenantId, Time};
use proto_events::policy_document::{self, PolicyDocument};

use crate::error::EngineError;

const POLICY: &[u8] = b"policy/";
const CLOCK: &[u8] = b"clock/";

/// One tenant with the policy in force.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its number.
    pub id: TenantId,
    /// Its name.
    pub name: Name,
    /// The version in force, from 1.
    pub version: u32,
    /// The policy in force.
    pub document: PolicyDocument,
    /// How far ticks have brought the tenant's time; [`Time::MIN`] before the first one.
    pub clock: Time,
}

impl Tenant {
    /// The part of the policy that decisions depend on.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.document.policy
    }

    /// What decoding its inputs needs of it.
    #[must_use]
    pub fn rules(&self) -> TenantRules {
        TenantRules {
            id: self.id,
            name: self.name.clone(),
            phone_region: self.document.phone_region.clone(),
            blocked_identifiers: self.document.blocked_identifiers.clone(),
            tested_attributes: self.policy().tested_attributes(),
            sealed_tests: self.policy().sealed_tests(),
            currency: self.policy().currency,
        }
    }
}

/// One adopted version of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// From 1.
    pub version: u32,
    /// The record that adopted it.
    pub position: LogPosition,
    /// When it was adopted.
    pub adopted_at: Time,
    /// The document, as adopted.
    pub document: String,
}

/// What adopting a policy led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// A new version is in force.
    Version(u32),
    /// The document in force is the same, byte for byte.
    Unchanged(u32),
}

/// All tenants, by number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Registry {
    tenants: Vec<Tenant>,
}

impl Registry {
    /// Reads the tenants that the tables know.
    pub(crate) fn load(tables: &dyn Tables) -> Result<Self, EngineError> {
        let mut registry = Self::default();
        for (key, value) in scan_all(tables, POLICY)? {
            let (tenant, version) = read_policy_key(&key).ok_or(damaged())?;
            let stored = read_version(version, &value).ok_or(damaged())?;
            registry.adopt(tenant, version, &stored.document).map_err(|_| damaged())?;
        }
        for (key, value) in scan_all(tables, CLOCK)? {
            let tenant = key.get(CLOCK.len()..).and_then(|key| key.try_into().ok()).map(u32::from_be_bytes);
            let clock = value.as_slice().try_into().ok().map(i64::from_be_bytes);
            let (Some(tenant), Some(clock)) = (tenant, clock) else { return Err(damaged()) };
            registry.set_clock(TenantId(tenant), Time::from_millis(clock));
        }
        Ok(registry)
    }

    pub(crate) fn all(&self) -> &[Tenant] {
        &self.tenants
    }

    pub(crate) fn get(&self, id: TenantId) -> Option<&Tenant> {
        let place = usize::try_from(id.0.checked_sub(1)?).ok()?;
        self.tenants.get(place)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Tenant> {
        self.tenants.iter().find(|tenant| tenant.name == name)
    }

    /// The number that a tenant of this name has or would get.
    pub(crate) fn id_for(&self, name: &str) -> TenantId {
        let next = u32::try_from(self.tenants.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.by_name(name).map_or(TenantId(next), |tenant| tenant.id)
    }

    /// Puts a version in force. Returns the faults of a document that this program refuses.
    pub(crate) fn adopt(
        &mut self,
        id: TenantId,
        version: u32,
        text: &str,
    ) -> Result<(), Vec<lead_domain::policy::Fault>> {
        let mut document = policy_document::read(text, self.get(id).map(Tenant::policy))?;
        document.policy.version = version;
        let name = document.policy.tenant.clone();
        match self.tenants.iter_mut().find(|tenant| tenant.id == id) {
            Some(tenant) => {
                tenant.version = version;
                tenant.document = document;
            }
            None => self.tenants.push(Tenant { id, name, version, document, clock: Time::MIN }),
        }
        Ok(())
    }

    pub(crate) fn set_clock(&mut self, id: TenantId, clock: Time) {
        for tenant in self.tenants.iter_mut().filter(|tenant| tenant.id == id) {
            tenant.clock = clock;
        }
    }
}

fn damaged() -> EngineError {
    EngineError::Row { table: Table::Facts.name() }
}

/// All rows of the facts table under a prefix.
fn scan_all(tables: &dyn Tables, prefix: &[u8]) -> Result<Rows, EngineError> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    Ok(tables.scan(Table::Facts, prefix, &end, usize::MAX)?)
}

pub(crate) fn policy_key(tenant: TenantId, version: u32) -> Vec<u8> {
    [POLICY, &tenant.0.to_be_bytes(), &version.to_be_bytes()].concat()
}

fn read_policy_key(key: &[u8]) -> Option<(TenantId, u32)> {
    let rest = key.strip_prefix(POLICY)?;
    let (tenant, version) = rest.split_first_chunk::<4>()?;
    Some((TenantId(u32::from_be_bytes(*tenant)), u32::from_be_bytes(version.try_into().ok()?)))
}

pub(crate) fn policy_value(position: LogPosition, adopted_at: Time, document: &str) -> Vec<u8> {
    [&position.0.to_be_bytes(), &adopted_at.as_millis().to_be_bytes(), document.as_bytes()].concat()
}

fn read_version(version: u32, value: &[u8]) -> Option<PolicyVersion> {
    let (position, rest) = value.split_first_chunk::<8>()?;
    let (adopted_at, document) = rest.split_first_chunk::<8>()?;
    Some(PolicyVersion {
        version,
        position: LogPosition(u64::from_be_bytes(*position)),
        adopted_at: Time::from_millis(i64::from_be_bytes(*adopted_at)),
        document: String::from_utf8(document.to_vec()).ok()?,
    })
}

pub(crate) fn clock_key(tenant: TenantId) -> Vec<u8> {
    [CLOCK, &tenant.0.to_be_bytes()].concat()
}

/// Reads one stored version, for the history.
pub(crate) fn stored_version(version: u32, value: &[u8]) -> Result<PolicyVersion, EngineError> {
    read_version(version, value).ok_or(damaged())
}
