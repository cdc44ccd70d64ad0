//! From the bytes of an event to an [`Entry`]. Total: any bytes give one.

mod interaction;
mod sealed;
mod segment;

use compact_str::CompactString;
use lead_domain::policy::condition::{Sealed, SealedTest};
use lead_domain::{Currency, Name, TenantId, Time};
use proto_events::Personal;
use proto_events::cloud_event::{self, BinaryEvent, Fault, InteractionEvent, Str, code};
use proto_events::stored::{Quarantined, encode_personal};
use proto_events::text::Text;
use rustc_hash::FxHashMap;
use thiserror::Error;

pub use sealed::answer_sealed;

use crate::device::Devices;
use crate::entry::{Entry, RejectedEntry};
use crate::hashing::Hasher;
use crate::limits::{KEPT_BYTES_MAX, Limits};
use crate::normalise::Normaliser;

/// What the decoder needs of a tenant and its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRules {
    /// The tenant.
    pub id: TenantId,
    /// Its name, as events call it.
    pub name: Name,
    /// ISO 3166 region of phone numbers without a country code.
    pub phone_region: String,
    /// Identifiers that never match anybody, of any kind.
    pub blocked_identifiers: Vec<String>,
    /// The attributes that conditions look at, sorted: `lead_domain::Policy::tested_attributes`.
    pub tested_attributes: Vec<Name>,
    /// What conditions ask about personal data: `lead_domain::Policy::sealed_tests`.
    pub sealed_tests: Vec<SealedTest>,
    /// The currency of amounts that name none.
    pub currency: Currency,
}

/// Whether `sent_at` corrects a channel's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockCorrection {
    /// History: it was received long after it was sent, so its times stand as they are.
    History,
    /// Live: what was sent now was received now, so `received − (sent − occurred)` is right by our clock.
    Live,
}

/// Where an event came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// A file's name or a subject; no personal data.
    pub name: &'a str,
    /// Its number in the feed; in a file the line.
    pub feed_sequence: u64,
    /// The tenant that the channel belongs to. An event that names another one is rejected.
    pub tenant: Option<TenantId>,
    /// Whether its clock is to be corrected.
    pub clock: ClockCorrection,
}

/// An input that can't even be rejected, because nobody's quarantine could hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "tell whose input number {feed_sequence} is: it names no tenant that exists, and there is no default one. Name the tenant"
)]
pub struct NoTenant {
    /// Its number in the feed.
    pub feed_sequence: u64,
}

/// Decodes events. Keeps caches and buffers, so keep it; after a policy change make a new one.
pub struct InteractionDecoder {
    tenants: Vec<Tenant>,
    by_name: FxHashMap<Name, usize>,
    default_tenant: Option<TenantId>,
    hasher: Hasher,
    limits: Limits,
    devices: Devices,
    decoded: Vec<u8>,
}

struct Tenant {
    id: TenantId,
    currency: Currency,
    tested_attributes: Vec<Name>,
    sealed_tests: Vec<Sealed>,
    normaliser: Normaliser,
}

/// What an event's check found: the place of its tenant, and when it happened by our clock.
#[derive(Clone, Copy)]
struct Checked {
    place: usize,
    occurred_at: Time,
}

/// An input that is not taken.
struct Rejected<'b> {
    /// A second one with the same is a duplicate.
    key: &'b [u8],
    /// The input or, where it is longer, the first bytes of its `whole_bytes`.
    beginning: &'b [u8],
    whole_bytes: u64,
}

impl Tenant {
    fn new(rules: TenantRules) -> Self {
        let normaliser = Normaliser::new(&rules.phone_region, &rules.blocked_identifiers);
        let mut tested_attributes = rules.tested_attributes;
        tested_attributes.sort_unstable();
        let sealed_tests = rules.sealed_tests.into_iter().map(Sealed::from).collect();
        Self { id: rules.id, currency: rules.currency, tested_attributes, sealed_tests, normaliser }
    }
}

impl InteractionDecoder {
    /// `default_tenant` is whose an event is that names no tenant, on a channel of no tenant.
    #[must_use]
    pub fn new(
        tenants: Vec<TenantRules>,
        default_tenant: Option<TenantId>,
        hash_key: [u8; 32],
        limits: Limits,
    ) -> Self {
        let by_name = tenants.iter().enumerate().map(|(place, rules)| (rules.name.clone(), place)).collect();
        Self {
            tenants: tenants.into_iter().map(Tenant::new).collect(),
            by_name,
            default_tenant,
            hasher: Hasher::new(hash_key),
            limits,
            devices: Devices::new(),
            decoded: Vec::new(),
        }
    }

    /// The tenant of that name.
    #[must_use]
    pub fn tenant_named(&self, name: &str) -> Option<TenantId> {
        self.tenants.get(*self.by_name.get(name)?).map(|tenant| tenant.id)
    }

    /// Decodes an event in structured JSON.
    ///
    /// # Errors
    /// When the event can't be taken and there is no tenant to whose quarantine it could go.
    pub fn decode(&mut self, bytes: &[u8], origin: Origin<'_>, received_at: Time) -> Result<Entry, NoTenant> {
        let mut decoded = std::mem::take(&mut self.decoded);
        let taken = self
            .limits
            .check_size(bytes.len())
            .and_then(|()| cloud_event::read(bytes, &mut decoded))
            .and_then(|mut event| self.take(&mut event, origin, received_at));
        self.decoded = decoded;
        taken.or_else(|fault| self.reject(bytes, bytes.len() as u64, fault, origin, received_at))
    }

    /// Decodes an event in binary mode: the entry is that of its structured form. A rejected one is kept in that form, so
    /// that it can be repaired and tried again like any other.
    ///
    /// # Errors
    /// When the event can't be taken and there is no tenant to whose quarantine it could go.
    pub fn decode_binary(
        &mut self,
        event: &BinaryEvent<'_>,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, NoTenant> {
        let taken = self
            .limits
            .check_size(event.size())
            .and_then(|()| event.read())
            .and_then(|mut event| self.take(&mut event, origin, received_at));
        taken.or_else(|fault| {
            let json = event.to_json();
            self.reject(&json, json.len() as u64, fault, origin, received_at)
        })
    }

    /// Takes an event that was read from something else than JSON; `bytes` are what it was read from.
    ///
    /// One that is rejected later than on reading is kept as JSON, so that it can be repaired and tried again like any other.
    pub(crate) fn decode_event(
        &mut self,
        event: Result<InteractionEvent<'_>, Fault>,
        bytes: &[u8],
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, NoTenant> {
        match self.limits.check_size(bytes.len()).and(event) {
            Err(fault) => self.reject(bytes, bytes.len() as u64, fault, origin, received_at),
            Ok(mut event) => self.take(&mut event, origin, received_at).or_else(|fault| {
                let json = event.to_json();
                self.reject(&json, json.len() as u64, fault, origin, received_at)
            }),
        }
    }

    /// The entry for an input of which only the beginning was read because it is far too long.
    pub(crate) fn decode_cut(
        &mut self,
        beginning: &[u8],
        whole_bytes: u64,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, NoTenant> {
        let bytes = usize::try_from(whole_bytes).unwrap_or(usize::MAX);
        let most = self.limits.event_bytes_max;
        let message = format!("The event has {bytes} bytes; at most {most} are allowed.");
        self.reject(beginning, whole_bytes, Fault::new("", code::EVENT_TOO_LARGE, message), origin, received_at)
    }

    fn take(
        &mut self,
        event: &mut InteractionEvent<'_>,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, Fault> {
        let checked = self.check(event, origin, received_at)?;
        self.entry(event, checked, origin, received_at)
    }

    /// Checks the limits, finds the tenant and corrects the time.
    fn check(&self, event: &InteractionEvent<'_>, origin: Origin<'_>, received_at: Time) -> Result<Checked, Fault> {
        self.limits.check_texts(event)?;
        let place = self.tenant_of(event.data.tenant.as_ref(), origin)?;
        let occurred_at = match (origin.clock, event.sent_at) {
            (ClockCorrection::Live, Some(sent_at)) => {
                let delay = sent_at.as_millis().saturating_sub(event.time.as_millis());
                Time::from_millis(received_at.as_millis().saturating_sub(delay))
            }
            (ClockCorrection::Live, None) | (ClockCorrection::History, _) => event.time,
        };
        self.limits.check_time(occurred_at, received_at)?;
        Ok(Checked { place, occurred_at })
    }

    /// The entry of an event that was checked.
    fn entry(
        &mut self,
        event: &mut InteractionEvent<'_>,
        checked: Checked,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, Fault> {
        let mut entry = self.interaction(event, checked.place)?;
        entry.occurred_at = checked.occurred_at;
        entry.received_at = received_at;
        entry.feed_sequence = origin.feed_sequence;
        Ok(Entry::Interaction(entry))
    }

    /// The place of the event's tenant.
    fn tenant_of(&self, named: Option<&Str<'_>>, origin: Origin<'_>) -> Result<usize, Fault> {
        let unknown = |message: &str| Fault::new("data.tenant", code::UNKNOWN_TENANT, message);
        if let Some(name) = named.and_then(Str::trimmed) {
            let place = *self.by_name.get(name).ok_or_else(|| unknown("There is no tenant of that name."))?;
            let id = self.tenants.get(place).map(|tenant| tenant.id);
            return if origin.tenant.is_none() || origin.tenant == id {
                Ok(place)
            } else {
                let message = "The channel belongs to another tenant: leave the field out or name that one.";
                Err(Fault::new("data.tenant", code::TENANT_MISMATCH, message))
            };
        }
        let id = origin.tenant.or(self.default_tenant).ok_or_else(|| unknown("The event must name its tenant."))?;
        self.tenants
            .iter()
            .position(|tenant| tenant.id == id)
            .ok_or_else(|| unknown("The channel's tenant has no policy yet."))
    }

    /// The entry for an input that can't be taken because of `fault`.
    ///
    /// # Errors
    /// When there is no tenant to whose quarantine it could go.
    pub fn reject_input(
        &mut self,
        bytes: &[u8],
        fault: Fault,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, NoTenant> {
        self.reject(bytes, bytes.len() as u64, fault, origin, received_at)
    }

    /// `beginning` is the input or, where it is longer, the first bytes of its `whole_bytes`.
    fn reject(
        &mut self,
        beginning: &[u8],
        whole_bytes: u64,
        fault: Fault,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, NoTenant> {
        self.reject_as(Rejected { key: beginning, beginning, whole_bytes }, fault, origin, received_at)
    }

    fn reject_as(
        &mut self,
        rejected: Rejected<'_>,
        fault: Fault,
        origin: Origin<'_>,
        received_at: Time,
    ) -> Result<Entry, NoTenant> {
        let Rejected { key, beginning, whole_bytes } = rejected;
        let feed_sequence = origin.feed_sequence;
        let tenant = origin.tenant.or(self.default_tenant).ok_or(NoTenant { feed_sequence })?;
        let kept = beginning.get(..KEPT_BYTES_MAX).unwrap_or(beginning);
        let cut = (kept.len() as u64) < whole_bytes;
        let note = cut.then(|| Text::from(format!("the first {} of {whole_bytes} bytes", kept.len()).as_str()));
        let mut personal = Vec::with_capacity(kept.len() + 64);
        encode_personal(&Personal { bytes: Some(kept.to_vec()), note, ..Personal::default() }, &mut personal);
        let facts = Quarantined {
            message: self.hasher.rejected(tenant, key),
            code: Text::from(fault.code),
            path: Text::from(fault.path.as_str()),
            message_text: Text::from(fault.message.as_str()),
            origin: Text(place(origin)),
        };
        Ok(Entry::Rejected(Box::new(RejectedEntry { tenant, received_at, feed_sequence, facts, personal })))
    }
}

/// The origin for people: `events.ndjson:17`, or the name alone where inputs have no numbers.
fn place(origin: Origin<'_>) -> CompactString {
    if origin.feed_sequence == 0 {
        return CompactString::from(origin.name);
    }
    compact_str::format_compact!("{}:{}", origin.name, origin.feed_sequence)
}
