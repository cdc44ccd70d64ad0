//! What every route has at hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use access::Guard;
use analytics::Setting;
use engine::Tenant;
use event_log::LogPosition;
use lead_domain::VisitorId;
use metrics_exporter_prometheus::PrometheusHandle;
use proofs::Notary;
use serde::Serialize;
use service::{ProjectionHandle, RawInput, Receipt, ServiceError, ServiceHandle};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::options::ApiOptions;
use crate::past::PastModels;
use crate::problem::Problem;
use crate::shown::{pairs, refuse_rest, take_min_position};
use crate::sql::Analysis;

/// What becomes of inputs, in their order, once that is durable.
pub type Taking<'a> = Pin<Box<dyn Future<Output = Result<Vec<Receipt>, ServiceError>> + Send + 'a>>;

/// Where inputs go in. A local service takes them itself; with a feed elsewhere they are published there first.
pub trait Inlet: Send + Sync {
    /// Takes inputs in their order and returns what became of each, once that is durable.
    fn submit(&self, inputs: Vec<RawInput>) -> Taking<'_>;
}

impl Inlet for ServiceHandle {
    fn submit(&self, inputs: Vec<RawInput>) -> Taking<'_> {
        Box::pin(Self::submit(self, inputs))
    }
}

/// What became of an erased person's messages in the feed that inputs come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct FeedErasure {
    /// Messages that the server has overwritten.
    pub erased: u64,
    /// Messages that were not there any more.
    pub missing: u64,
    /// Why messages may still be there; `null` where none is.
    pub refused: Option<String>,
}

/// What becomes of messages.
pub type Forgetting<'a> = Pin<Box<dyn Future<Output = FeedErasure> + Send + 'a>>;

/// A feed elsewhere, which holds what people's records came from.
pub trait FeedErasing: Send + Sync {
    /// Takes the messages of an erased visitor out.
    fn forget(&self, visitor: VisitorId) -> Forgetting<'_>;
}

/// Says why the process is not ready, beside what the service knows; `None` when it is.
pub type ReadyCheck = Arc<dyn Fn() -> Option<String> + Send + Sync>;

/// Says whether the service is stopping, so that what never ends by itself does.
pub type StopCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// What every route has at hand. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// The running engine.
    pub service: ServiceHandle,
    /// Where inputs go in.
    pub inlet: Arc<dyn Inlet>,
    /// Who may do what.
    pub guard: Guard,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// What else must hold for `/readyz`.
    pub ready: ReadyCheck,
    /// When streams end.
    pub stopping: StopCheck,
    /// Whether inputs must have a tenant before they go in, because their way leads through a feed that is told by it.
    pub tenant_first: bool,
    /// Streams of changes that may be open at the same time.
    pub streams: Arc<Semaphore>,
    /// The feed that inputs come from, where it is elsewhere.
    pub feed: Option<Arc<dyn FeedErasing>>,
    /// The analytics tables, where they are kept.
    pub analysis: Option<Analysis>,
    /// What signs heads of the log and makes bundles from it.
    pub notary: Option<Arc<Notary>>,
    /// Read models of the past.
    pub past: PastModels,
    /// Limits.
    pub options: Arc<ApiOptions>,
}

impl Api {
    /// The tenant that the caller means, as far as the key reaches: the key's own, the one that the request names, or the
    /// only one there is.
    pub(crate) fn tenant(&self, caller: &Caller) -> Result<Arc<Tenant>, Problem> {
        let tenants = self.service.tenants();
        let name = match (caller.tenant(), &caller.named_tenant) {
            (Some(own), Some(named)) if own != named => return Err(Problem::unknown_tenant()),
            (Some(own), _) => own.to_owned(),
            (None, Some(named)) => named.clone(),
            (None, None) => match tenants.as_slice() {
                [only] => return Ok(Arc::clone(only)),
                [] => return Err(Problem::unknown_tenant()),
                [_, _, ..] => return Err(Problem::tenant_needed()),
            },
        };
        tenants.iter().find(|tenant| tenant.name == name).cloned().ok_or_else(Problem::unknown_tenant)
    }

    /// The name of the tenant that inputs are for; `None` when they name it themselves.
    pub(crate) fn tenant_of_inputs(&self, caller: &Caller) -> Result<Option<String>, Problem> {
        match (caller.tenant(), &caller.named_tenant) {
            (None, None) => {
                let tenants = self.service.tenants();
                // Where there is only one, an event need not name it.
                match tenants.as_slice() {
                    [only] => Ok(Some(only.name.to_string())),
                    [] | [_, _, ..] if self.tenant_first => Err(Problem::tenant_needed()),
                    [] | [_, _, ..] => Ok(None),
                }
            }
            _ => Ok(Some(self.tenant(caller)?.name.to_string())),
        }
    }

    /// By what a query over the tables of now is read.
    pub(crate) fn setting(&self, tenant: &Tenant) -> Setting {
        Setting { now: self.service.now().as_millis(), zone: tenant.document.time_zone.clone() }
    }

    /// Waits until the listing holds what the caller has seen before.
    pub(crate) async fn wait(&self, min_position: Option<u64>) -> Result<(), Problem> {
        self.reached(min_position)?;
        not_paused(self.service.listing_projection(), min_position)?;
        if let Some(position) = min_position {
            self.service.wait_listed(LogPosition(position), self.options.listing_wait).await?;
        }
        self.listed()
    }

    /// The same for a query that may say nothing but `min_position`.
    pub(crate) async fn wait_as_asked(&self, query: Option<&str>) -> Result<(), Problem> {
        let mut pairs = pairs(query)?;
        let min_position = take_min_position(&mut pairs)?;
        refuse_rest(&pairs)?;
        self.wait(min_position).await
    }

    /// Refuses a position that the log doesn't reach. What is read from the log itself waits for nothing else.
    pub(crate) fn reached(&self, min_position: Option<u64>) -> Result<(), Problem> {
        let head = self.service.head();
        if min_position.is_some_and(|position| position > head.0) { Err(Problem::position_ahead(head)) } else { Ok(()) }
    }

    /// Whether the listing can be read at all yet.
    fn listed(&self) -> Result<(), Problem> {
        if self.service.listing().borrow().is_ready { Ok(()) } else { Err(Problem::listing_not_ready()) }
    }
}

/// Refuses to wait for a position that a projection doesn't come to, because somebody paused it.
pub(crate) fn not_paused(projection: &ProjectionHandle, min_position: Option<u64>) -> Result<(), Problem> {
    let (state, wanted) = (projection.state(), LogPosition(min_position.unwrap_or_default()));
    let state = state.borrow();
    let waits_in_vain = state.is_paused && state.position < wanted;
    if waits_in_vain { Err(Problem::paused(projection.name(), state.position)) } else { Ok(()) }
}
