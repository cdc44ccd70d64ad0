//! Reading the next events for a destination from the log.

use std::ops::ControlFlow;
use std::sync::Arc;

use event_log::{EventLog, Header, LogPosition, Record};
use lead_domain::TenantId;
use proto_events::stored::{self, SignedHead};
use proto_events::{DecodeError, InputFacts, lead_event};
use thiserror::Error;

use crate::delivery::PublishError;
use crate::filter::EventFilter;
use crate::outgoing::{HEAD_SIGNED, OutgoingEvent};
use crate::person::{PersonError, Persons, is_stale, nurtured};

/// A page takes no further record once it has so many events, about 200 KB.
const PAGE_EVENTS: usize = 256;
/// A page ends after so many records, also where the filter lets nothing through, so that the cursor moves on.
const PAGE_RECORDS: u64 = 4_096;

/// Says what tenants are called. Records hold only their numbers.
pub trait TenantNames: Send + Sync {
    /// The tenant's name; `None` where it isn't known yet. Its events then wait, as all behind them do.
    fn name(&self, tenant: TenantId) -> Option<Arc<str>>;
}

impl<F: Fn(TenantId) -> Option<Arc<str>> + Send + Sync> TenantNames for F {
    fn name(&self, tenant: TenantId) -> Option<Arc<str>> {
        self(tenant)
    }
}

/// Events to deliver, and how far the log was read for them.
pub(crate) struct Page {
    pub(crate) events: Vec<OutgoingEvent>,
    /// The last record whose events are all in the page, or are not for the destination.
    pub(crate) through: LogPosition,
    /// The tenant of the record behind, where its name isn't known.
    pub(crate) nameless: Option<TenantId>,
}

/// Where pages are read from.
pub(crate) struct Source {
    pub(crate) destination: Arc<str>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) tenants: Arc<dyn TenantNames>,
    pub(crate) filter: EventFilter,
    pub(crate) persons: Arc<dyn Persons>,
}

/// Why a record's events can't be made ready.
#[derive(Debug, Error)]
enum Unready {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error(transparent)]
    Person(#[from] PersonError),
}

impl Source {
    /// The records behind `after`, as many as make a page. Blocks on the log. Fails only where the next record can't be
    /// read.
    pub(crate) fn page(&self, after: LogPosition) -> Result<Page, PublishError> {
        let mut page = Page { events: Vec::new(), through: after, nameless: None };
        if self.log.head().position <= after {
            return Ok(page);
        }
        let mut fault = None;
        let read = self.log.read(after.next(), &mut |record| match self.take(&record, &mut page) {
            Ok(flow) if page.through.0 - after.0 < PAGE_RECORDS => flow,
            Ok(_) => ControlFlow::Break(()),
            Err(unready) => {
                let (destination, position) = (self.destination.to_string(), record.header.position);
                fault = Some(match unready {
                    Unready::Decode(source) => PublishError::Decode { destination, position, source },
                    Unready::Person(source) => PublishError::Person { destination, position, source },
                });
                ControlFlow::Break(())
            }
        });
        // What came before a fault is delivered first; the next page then begins with the fault.
        match fault.or(read.err().map(PublishError::Log)) {
            Some(fault) if page.through == after => Err(fault),
            _ => Ok(page),
        }
    }

    /// A signed head covers the records of all tenants, so it goes to each of them; they are numbered from 1.
    fn take_head(&self, header: &Header, head: &SignedHead, page: &mut Page) {
        if !self.filter.lets_event(HEAD_SIGNED) {
            return;
        }
        let names = (1..).map_while(|number| self.tenants.name(TenantId(number)));
        for (index, name) in names.enumerate().filter(|(_, name)| self.filter.lets_tenant(name)) {
            page.events.push(OutgoingEvent::head_signed(&name, header, index, head));
        }
    }

    fn take(&self, record: &Record<'_>, page: &mut Page) -> Result<ControlFlow<()>, Unready> {
        let header = &record.header;
        let facts = stored::decode_facts(header.codec, record.facts)?;
        if let InputFacts::SignedHead(head) = &facts.input {
            self.take_head(header, head, page);
        }
        if !facts.events.is_empty() {
            let tenant = TenantId(header.tenant);
            let Some(name) = self.tenants.name(tenant) else {
                page.nameless = Some(tenant);
                return Ok(ControlFlow::Break(()));
            };
            if self.filter.lets_tenant(&name) {
                let first = page.events.len();
                for (index, event) in facts.events.iter().enumerate() {
                    if !self.filter.lets_event(lead_event::name(event)) || is_stale(header.recorded_at, event) {
                        continue;
                    }
                    let whom = nurtured(event).map(|lead| self.persons.person(lead, header.position)).transpose();
                    // A record's events are delivered all or none.
                    let whom = whom.inspect_err(|_| page.events.truncate(first))?;
                    page.events.push(OutgoingEvent::new(&name, header, index, event, whom));
                }
            }
        }
        page.through = header.position;
        Ok(if page.events.len() < PAGE_EVENTS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    }
}
