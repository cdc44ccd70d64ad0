//! What proves that the log holds what it is said to hold: signed heads, and bundles about a lead.

use std::sync::Arc;

use access::Permission;
use axum::extract::{RawQuery, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Engine, EngineError, Parts, PolicyVersion, RecordedHead, TimelineQuery};
use event_log::{LogError, LogPosition};
use http::StatusCode;
use lead_domain::{LeadId, TenantId};
use proofs::{Bundle, BundleFile, BundlePolicy, BundleRecord, EarlierHead, HeadError, Notary, TreeError, TreeHead};
use proto_events::lead_event::rfc3339;
use proto_events::stored::InputFacts;
use serde::{Deserialize, Serialize};
use service::ServiceHandle;
use utoipa::ToSchema;

use crate::answer::{At, PageOf};
use crate::caller::Caller;
use crate::leads::lead_id;
use crate::parameters::{AtLeast, Id, OfTenant, Paged};
use crate::problem::{CommonProblems, Problem};
use crate::shown::{cursor_at, limit, pairs, position_cursor, refuse_rest, take, take_min_position, timeline_row};
use crate::state::Api;

/// Rows of a page where nobody says, and at most.
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;

/// A signed head of the log, which covers the records of all tenants by one hash.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SignedHeadRow {
    /// Its record.
    pub id: u64,
    /// How many records it covers.
    pub size: u64,
    /// When it was recorded.
    #[schema(format = DateTime)]
    pub recorded_at: String,
    /// The signed note, a checkpoint as C2SP describes it: keep it to prove later that the log only grew.
    pub note: String,
    /// The public key that signed it, `NAME+ID+KEY`.
    pub key: String,
}

/// A bundle as files.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProofBundle {
    /// The lead that it is about.
    pub lead_id: String,
    /// Its files, by path.
    pub files: Vec<ProofFile>,
}

/// A file of a bundle.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ProofFile {
    /// Where it belongs; parts are separated by `/`.
    pub path: String,
    /// What it holds, in Base64.
    pub bytes_base64: String,
}

impl From<BundleFile> for ProofFile {
    fn from(BundleFile { path, bytes }: BundleFile) -> Self {
        Self { path, bytes_base64: STANDARD.encode(bytes) }
    }
}

fn row(head: RecordedHead, notary: &Notary) -> SignedHeadRow {
    let RecordedHead { position, recorded_at, size, note } = head;
    SignedHeadRow { id: position.0, size, recorded_at: rfc3339(recorded_at), note, key: notary.key().to_string() }
}

fn notary(api: &Api) -> Result<Arc<Notary>, Problem> {
    api.notary.clone().ok_or_else(Problem::no_route)
}

/// List signed heads of the log
///
/// Newest first. Whoever keeps one can check later, with a bundle made with it, that the log was only added to since.
#[utoipa::path(
    get, path = "/v1/heads", tag = "operations",
    params(
        Paged,
        AtLeast,
    ),
    responses((status = 200, body = PageOf<SignedHeadRow>), CommonProblems)
)]
pub(crate) async fn list(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<At<PageOf<SignedHeadRow>>, Problem> {
    caller.must(Permission::Audit)?;
    let notary = notary(&api)?;
    let mut pairs = pairs(query.as_deref())?;
    api.reached(take_min_position(&mut pairs)?)?;
    let from = position_cursor(&mut pairs)?;
    let limit = limit(&mut pairs, LIMIT_DEFAULT, LIMIT_MAX)?;
    refuse_rest(&pairs)?;
    let newest = match from {
        Some(position) => position,
        None => api.service.with_engine(|engine| engine.newest_signed_head()).await??,
    };
    let read = move |parts: &Parts| parts.signed_heads(newest, limit + 1);
    let mut heads = api.service.read_records(newest, read).await?.map_err(|error| {
        let is_missing = matches!(error, EngineError::Log(LogError::Missing { .. }));
        if is_missing { Problem::not_found("signed head") } else { error.into() }
    })?;
    let next = heads.get(limit).map(|head| cursor_at(head.position));
    heads.truncate(limit);
    let position = api.service.head();
    let items = heads.into_iter().map(|head| row(head, &notary)).collect();
    Ok(At::new(position, PageOf { items, next_cursor: next, position: position.0, count: None }))
}

/// Sign the head of the log
///
/// Signs what the log holds now, records that, and sends it to the outgoing feed. The service does so by itself now and
/// then.
#[utoipa::path(
    post, path = "/v1/heads", tag = "operations",
    responses((status = 201, body = SignedHeadRow, description = "Signed"), CommonProblems)
)]
pub(crate) async fn sign(State(api): State<Api>, caller: Caller) -> Result<At<SignedHeadRow>, Problem> {
    caller.must(Permission::Audit)?;
    let notary = notary(&api)?;
    let head = sign_head(&api.service, &notary).await?;
    Ok(At::new(head.position, row(head, &notary)).status(StatusCode::CREATED))
}

/// Signs the head of a running log and records it. Durable on return.
///
/// # Errors
/// When the log or the tree fails, or the service is stopping.
pub async fn sign_head(service: &ServiceHandle, notary: &Arc<Notary>) -> Result<RecordedHead, Problem> {
    let (now, signing) = (rfc3339(service.now()), Arc::clone(notary));
    let signed = service.read_records(LogPosition::START, move |_| Ok(signing.sign(&now, &mut |_| ()))).await??;
    let (TreeHead { size, .. }, note) = signed.map_err(|error| Problem::internal(&error))?;
    let record = move |engine: &mut Engine| engine.record_signed_head(size, &note);
    let position = service.with_engine(record).await??;
    let recorded = service.read_records(position, move |parts| parts.signed_heads(position, 1)).await??;
    recorded.into_iter().next().ok_or_else(|| Problem::internal(&LogError::Missing { position }))
}

/// What a bundle is to hold.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "stands in the description only")]
pub(crate) struct Proving {
    /// Whether sealed parts are left out
    #[param(required = false)]
    redact: bool,
    /// The note of an earlier signed head: the bundle then shows that the log only grew since
    #[param(required = false, max_length = 2000)]
    since: String,
}

/// Prove what became of a lead
///
/// A bundle of files: the records of the lead's visitor, with proofs that they stand in the log whose head is signed, and
/// the policies that they were decided under. `leadfold-check` checks it offline.
#[utoipa::path(
    get, path = "/v1/leads/{id}/proof", tag = "leads",
    params(
        ("id" = String, Path, description = "Such as V42-1", pattern = "^V[1-9][0-9]*-[1-9][0-9]*$"),
        Proving,
        AtLeast,
        OfTenant,
    ),
    responses((status = 200, body = ProofBundle), CommonProblems)
)]
pub(crate) async fn prove(
    State(api): State<Api>,
    caller: Caller,
    Id(id): Id,
    RawQuery(query): RawQuery,
) -> Result<At<ProofBundle>, Problem> {
    caller.must(Permission::Audit)?;
    let (notary, tenant, lead) = (notary(&api)?, api.tenant(&caller)?, lead_id(&id)?);
    let mut pairs = pairs(query.as_deref())?;
    api.reached(take_min_position(&mut pairs)?)?;
    let redact = match take(&mut pairs, "redact").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::field("redact", "not_boolean", "Must be true or false.")),
    };
    let since = take(&mut pairs, "since");
    refuse_rest(&pairs)?;
    let (id, name) = (tenant.id, tenant.name.to_string());
    let find = move |engine: &mut Engine| Evidence::find(engine, id, lead);
    let evidence = api.service.with_engine(find).await??.ok_or_else(|| Problem::not_found("lead"))?;
    let (last, time) = (evidence.last(), rfc3339(api.service.now()));
    let asked = ProofRequest { lead, tenant: name, redact, since };
    let made = move |parts: &Parts| Ok(asked.files(parts, &notary, &evidence, &time, &mut |_| ()));
    let files = api.service.read_records(last, made).await??.map_err(|error| match error {
        ProofError::Head(error) => Problem::field("since", "no_signed_head", format!("Can't {error}.")),
        ProofError::Tree(TreeError::OutOfRange { .. }) => {
            Problem::field("since", "head_ahead", "The head covers more records than the log has.")
        }
        ProofError::Engine(error) => error.into(),
        ProofError::Tree(error) => Problem::internal(&error),
    })?;
    let files = files.into_iter().map(ProofFile::from).collect();
    Ok(At::new(api.service.head(), ProofBundle { lead_id: lead.to_string(), files }))
}

/// Where the records are that prove what became of a lead.
#[derive(Debug)]
pub struct Evidence {
    heads: Vec<LogPosition>,
    policies: Vec<PolicyVersion>,
    newest_head: LogPosition,
}

impl Evidence {
    /// Finds it; `None` where the tenant has no such lead.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn find(engine: &mut Engine, tenant: TenantId, lead: LeadId) -> Result<Option<Self>, EngineError> {
        if !engine.book(tenant, lead.visitor).is_ok_and(|book| book.lead(lead).is_some()) {
            return Ok(None);
        }
        let heads = engine.stream_heads(lead.visitor)?;
        let in_force = engine.tenants().iter().find(|known| known.id == tenant).map_or(0, |tenant| tenant.version);
        let policies = (1..=in_force).filter_map(|version| engine.policy_version(tenant, version).transpose());
        let policies = policies.collect::<Result<_, _>>()?;
        Ok(Some(Self { heads, policies, newest_head: engine.newest_signed_head()? }))
    }

    /// The newest record of it.
    #[must_use]
    pub fn last(&self) -> LogPosition {
        let policies = self.policies.iter().map(|policy| policy.position);
        self.heads.iter().copied().chain(policies).chain([self.newest_head]).max().unwrap_or_default()
    }

    /// The version in force behind everything in front of a record.
    fn policy_at(&self, position: LogPosition) -> Option<&PolicyVersion> {
        self.policies.iter().rfind(|policy| policy.position < position)
    }
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Reading the records.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Proving them.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The earlier head is none of this log's.
    #[error(transparent)]
    Head(#[from] HeadError),
}

/// A bundle that somebody asks for.
#[derive(Clone, Debug)]
pub struct ProofRequest {
    /// About which lead.
    pub lead: LeadId,
    /// Whose, by name.
    pub tenant: String,
    /// Whether sealed parts are left out.
    pub redact: bool,
    /// The note of an earlier signed head to go on from, besides the newest recorded one.
    pub since: Option<String>,
}

impl ProofRequest {
    /// The bundle's files. All of the evidence must be durable.
    ///
    /// # Errors
    /// When the earlier head isn't there, or the storage fails.
    pub fn files(
        &self,
        parts: &Parts,
        notary: &Notary,
        evidence: &Evidence,
        time: &str,
        progress: &mut dyn FnMut(LogPosition),
    ) -> Result<Vec<BundleFile>, ProofError> {
        let query = TimelineQuery { visitor: self.lead.visitor, lead: None, limit: usize::MAX, before: None };
        let mut entries = parts.timeline(evidence.heads.clone(), &query)?;
        let mut policies: Vec<&PolicyVersion> =
            entries.iter().filter_map(|entry| evidence.policy_at(entry.header.position)).collect();
        policies.sort_by_key(|policy| policy.version);
        policies.dedup_by_key(|policy| policy.version);
        for policy in &policies {
            entries.push(parts.entry(policy.position)?);
        }
        entries.sort_by_key(|entry| entry.header.position);
        let records = entries.iter_mut().map(|entry| {
            let position = entry.header.position;
            let is_policy = matches!(entry.facts.input, InputFacts::Policy(_));
            // Lines for people hold no personal data; that stays sealed.
            entry.personal = None;
            BundleRecord {
                position,
                policy_version: evidence.policy_at(position).filter(|_| !is_policy).map(|policy| policy.version),
                readable: serde_json::to_string(&timeline_row(entry)).unwrap_or_default(),
            }
        });
        let bundle = Bundle {
            program: concat!("leadfold ", env!("CARGO_PKG_VERSION")),
            tenant: &self.tenant,
            about: &self.lead.to_string(),
            records: records.collect(),
            policies: policies.into_iter().map(policy_in).collect(),
            earlier: self.earlier(parts, notary, evidence)?,
            redact: self.redact,
        };
        Ok(notary.bundle(&bundle, time, progress)?)
    }

    /// The newest recorded head, and the one asked for.
    fn earlier(&self, parts: &Parts, notary: &Notary, evidence: &Evidence) -> Result<Vec<EarlierHead>, ProofError> {
        let newest = parts.signed_heads(evidence.newest_head, 1)?;
        let mut earlier: Vec<EarlierHead> =
            newest.into_iter().map(|RecordedHead { size, note, .. }| EarlierHead { size, note }).collect();
        if let Some(note) = &self.since {
            let size = TreeHead::open(note, notary.key())?.size;
            earlier.retain(|head| head.size != size);
            earlier.push(EarlierHead { size, note: note.clone() });
        }
        Ok(earlier)
    }
}

fn policy_in(policy: &PolicyVersion) -> BundlePolicy {
    let PolicyVersion { version, position, document, .. } = policy;
    BundlePolicy { version: *version, position: *position, document: document.clone() }
}
