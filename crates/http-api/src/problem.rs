//! What goes wrong, as RFC 9457 problems: every mapping from an error to a status stands here.

use analytics::{Fault as QueryFault, Place, QueryError as SqlError};
use axum::Json;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::response::{IntoResponse, Response};
use engine::EngineError;
use event_log::LogPosition;
use http::{HeaderValue, StatusCode, header};
use lead_domain::Refusal;
use listing::{ListingError, QueryError};
use proto_events::cloud_event::{Fault, shown};
use serde::Serialize;
use service::{CommandError, PastError, PastsError, ServiceError};
use utoipa::{IntoResponses, ToSchema};

/// Seconds after which a caller who was turned away should come back.
const RETRY_AFTER_SECONDS: u64 = 1;

/// A problem as it is answered (RFC 9457).
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// A stable name, such as `urn:leadfold:problem:version-mismatch`.
    #[serde(rename = "type")]
    #[schema(example = "urn:leadfold:problem:version-mismatch")]
    kind: String,
    /// The same in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened here, and what to do about it. Holds no value that was sent.
    detail: String,
    /// Each fault of the request, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
}

/// One fault of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct FieldProblem {
    /// Where, such as `data.email` or `sort`; empty for the whole.
    path: String,
    /// A stable word.
    code: String,
    /// What would be right.
    message: String,
}

/// A request that can't be answered as asked.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    errors: Vec<FieldProblem>,
    retry: bool,
}

/// What every route may answer besides its own.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the fields are the bodies in the description")]
pub(crate) enum CommonProblems {
    /// The request makes no sense; `errors` says where.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemBody),
    /// There is no API key, or it is not a valid one.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemBody),
    /// The API key may not do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemBody),
    /// There is no such thing, or it is another tenant's.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemBody),
    /// The request took too long.
    #[response(status = 408, content_type = "application/problem+json")]
    Timeout(ProblemBody),
    /// Too much is under way; come back after `Retry-After`.
    #[response(status = 429, content_type = "application/problem+json")]
    TooMany(ProblemBody),
    /// Something failed here.
    #[response(status = 500, content_type = "application/problem+json")]
    Internal(ProblemBody),
    /// Not now; come back after `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemBody),
}

/// What routes with a body may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the fields are the bodies in the description")]
pub(crate) enum BodyProblems {
    /// The body is larger than allowed.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemBody),
    /// The body is of a kind that is not taken here.
    #[response(status = 415, content_type = "application/problem+json")]
    UnsupportedMedia(ProblemBody),
}

/// What commands may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the fields are the bodies in the description")]
pub(crate) enum CommandProblems {
    /// It does not fit to how things stand: a closed lead, an order that counts already, a key used for another request.
    #[response(status = 409, content_type = "application/problem+json")]
    Conflict(ProblemBody),
    /// The version in `If-Match` is not that of the lead.
    #[response(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(ProblemBody),
    /// The policy doesn't know the lead type or reason, or is itself at fault.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(ProblemBody),
}

/// What routes that tell of the past may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the fields are the bodies in the description")]
pub(crate) enum PastProblems {
    /// The time has not come yet, or there is no such rule.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(ProblemBody),
}

/// What routes that ask the analytics tables may answer besides.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the fields are the bodies in the description")]
pub(crate) enum QueryProblems {
    /// The query doesn't fit the tables, or takes more than a query may.
    #[response(status = 422, content_type = "application/problem+json")]
    Unprocessable(ProblemBody),
}

impl Problem {
    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, slug, title, detail: detail.into(), errors: Vec::new(), retry: false }
    }

    fn with_errors(mut self, errors: Vec<FieldProblem>) -> Self {
        self.errors = errors;
        self
    }

    fn retry_later(mut self) -> Self {
        self.retry = true;
        self
    }

    /// The status that it is answered with.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// One field of the request is wrong.
    pub(crate) fn field(path: &str, code: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = FieldProblem { path: path.to_owned(), code: code.to_owned(), message: message.clone() };
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid", message)
            .with_errors(vec![error])
    }

    /// A time of which nothing is known yet.
    pub(crate) fn in_the_future(path: &str) -> Self {
        let message = format!("{path} lies in the future, of which nothing is known yet.");
        let error = FieldProblem { path: path.to_owned(), code: "in_the_future".to_owned(), message: message.clone() };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "in-the-future", "The time has not come yet", message)
            .with_errors(vec![error])
    }

    /// A rule of the policy in force that isn't there.
    pub(crate) fn unknown_rule(path: &str) -> Self {
        let message = "It must be the name of a rule of the policy in force.".to_owned();
        let error = FieldProblem { path: path.to_owned(), code: "unknown_rule".to_owned(), message: message.clone() };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown-rule", "There is no such rule", message)
            .with_errors(vec![error])
    }

    /// The body of the request has faults.
    pub(crate) fn faults(faults: &[Fault]) -> Self {
        let errors: Vec<FieldProblem> = faults.iter().map(FieldProblem::from).collect();
        let detail = format!("The request has {} fault(s); errors names each.", errors.len());
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid", detail).with_errors(errors)
    }

    pub(crate) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid API key is needed", detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The API key may not do this", detail)
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", format!("There is no such {what}."))
    }

    pub(crate) fn no_route() -> Self {
        let detail = "There is nothing at this address; /openapi.json describes what there is.";
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
    }

    pub(crate) fn wrong_method() -> Self {
        let detail = "The address takes other methods; Allow names them.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The method is not allowed here", detail)
    }

    pub(crate) fn unknown_tenant() -> Self {
        Self::not_found("tenant; adopt a policy for it first")
    }

    /// A name that looks like one is repeated; anything else may be a value in the wrong place.
    pub(crate) fn unknown_parameter(name: &str) -> Self {
        Self::field(shown(name), "unknown_parameter", "There is no such parameter.")
    }

    pub(crate) fn tenant_needed() -> Self {
        Self::field("Leadfold-Tenant", "missing", "There are several tenants: name one in the header Leadfold-Tenant.")
    }

    pub(crate) fn unsupported_media(detail: &str) -> Self {
        let title = "The body is of a kind that is not taken here";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", title, detail)
    }

    pub(crate) fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The body is too large", detail)
    }

    pub(crate) fn timeout() -> Self {
        let detail = "The request took longer than is allowed; send less at once.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail)
    }

    pub(crate) fn busy() -> Self {
        let detail = "As many requests are under way as are allowed. Try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "Too many requests are under way", detail).retry_later()
    }

    pub(crate) fn listing_not_ready() -> Self {
        let detail = "The listing is still being brought up to date. Try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "listing-not-ready", "The listing is not ready", detail)
            .retry_later()
    }

    /// Somebody paused what would have to follow.
    pub(crate) fn paused(projection: &str, position: LogPosition) -> Self {
        let detail = format!(
            "Projection {projection} is paused at position {position}. Ask without min_position, or let it go on."
        );
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "paused", "The projection is paused", detail)
    }

    /// The analytics tables can't be read at all.
    pub(crate) fn analytics_unavailable(why: &str) -> Self {
        let title = "The analytics tables are not available";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "analytics-unavailable", title, why)
    }

    pub(crate) fn analytics_behind() -> Self {
        let detail = "The analytics tables are still being brought up to date. Try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "behind", "The analytics tables are behind", detail).retry_later()
    }

    /// A query over the analytics tables that has no answer. A query that is wrong or too large is the caller's: asking
    /// again would not help, so it is no 408 and no 5xx.
    pub(crate) fn of_query(error: &SqlError) -> Self {
        let message = sentence(&format!("cannot {error}"));
        let at = |place: &Option<Place>| {
            place.map(|place| format!("query:{}:{}", place.line, place.column)).unwrap_or_else(|| "query".to_owned())
        };
        let (status, slug, title, path, code) = match error {
            SqlError::Syntax { place, .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-query", "The query is not valid", at(place), "syntax")
            }
            SqlError::Refused { .. } => {
                let title = "The statement is not run here";
                (StatusCode::UNPROCESSABLE_ENTITY, "query-refused", title, at(&None), "refused")
            }
            SqlError::Invalid { place, .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid-query", "The query is not valid", at(place), "invalid")
            }
            SqlError::TooLong { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "query-too-long", "The query takes too long", at(&None), "time")
            }
            SqlError::TooMuchMemory => {
                let title = "The query takes too much memory";
                (StatusCode::UNPROCESSABLE_ENTITY, "query-too-large", title, at(&None), "memory")
            }
            SqlError::TooManyRows { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "too-many-rows", "The answer has too many rows", at(&None), "rows")
            }
            SqlError::TooManyGroups { .. } | SqlError::TooManyUnits { .. } => {
                let title = "The answer has too many groups";
                (StatusCode::UNPROCESSABLE_ENTITY, "too-many-groups", title, "dimensions".to_owned(), "groups")
            }
            SqlError::Tables(tables) => {
                tracing::error!(error = %tables, "the analytics tables can't be read");
                return Self::analytics_unavailable(crate::sql::REBUILD);
            }
            SqlError::Failed { .. } => return Self::internal(error),
        };
        let error = FieldProblem { path, code: code.to_owned(), message: message.clone() };
        Self::new(status, slug, title, message).with_errors(vec![error])
    }

    /// A document that asks for a report and can't be answered as it stands.
    pub(crate) fn query_faults(faults: &[QueryFault]) -> Self {
        let faults = faults.iter().map(|fault| FieldProblem {
            path: fault.path.clone(),
            code: fault.code.to_owned(),
            message: fault.message.clone(),
        });
        let detail = "The query can't be answered as it is; errors says why.";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-query", "The query is not valid", detail)
            .with_errors(faults.collect())
    }

    fn policy_changed(version: u32) -> Self {
        let detail = format!("Version {version} of the policy is in force; read it again and decide anew.");
        Self::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", "The policy has changed since", detail)
    }

    pub(crate) fn position_ahead(head: LogPosition) -> Self {
        Self::field("min_position", "ahead", format!("The log ends at position {head}; nothing is behind it yet."))
    }

    /// Something failed that the caller can do nothing about. The reason goes to the log.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let mut causes = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            causes = format!("{causes}: {error}");
            cause = error.source();
        }
        tracing::error!(error = causes, "a request failed");
        let detail = "The service's log says what. Nothing that was recorded is lost.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something failed here", detail)
    }

    fn refused(refusal: &Refusal) -> Self {
        let detail = sentence(&refusal.to_string());
        let unknown = |field: &str, detail: &str| {
            let title = "The policy doesn't allow this";
            let error =
                FieldProblem { path: field.to_owned(), code: refusal.code().to_owned(), message: detail.to_owned() };
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, refusal.code(), title, detail).with_errors(vec![error])
        };
        match refusal {
            Refusal::UnknownVisitor { .. } | Refusal::UnknownLead { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
            }
            Refusal::VersionMismatch { .. } => {
                let title = "The lead has changed since";
                Self::new(StatusCode::PRECONDITION_FAILED, "version-mismatch", title, detail)
            }
            // Their own words repeat what was sent.
            Refusal::UnknownCloseReason { .. } => {
                unknown("reason", "The reason must be one of close_reasons in the policy.")
            }
            Refusal::UnknownLeadType { .. } => {
                unknown("lead_type", "The lead type must be one of the policy; /v1/lead-types lists them.")
            }
            Refusal::InactiveLeadType { .. } => unknown("lead_type", "The lead type is inactive; take another one."),
            Refusal::LeadClosed { .. }
            | Refusal::LeadOpen { .. }
            | Refusal::SameLeadType { .. }
            | Refusal::OrderCounted { .. }
            | Refusal::NoConversion { .. }
            | Refusal::AlreadyAdopted { .. }
            | Refusal::InteractionElsewhere { .. }
            | Refusal::SameLead { .. }
            | Refusal::InteractionOrphaned { .. }
            | Refusal::AlreadyDiscredited { .. }
            | Refusal::InteractionConverted { .. }
            | Refusal::OtherVisitor { .. }
            | Refusal::SameVisitor { .. }
            | Refusal::DifferentCustomers { .. }
            | Refusal::NotMerged { .. }
            | Refusal::NotSuspected { .. }
            | Refusal::VisitorErased { .. }
            | Refusal::TooManyLeads { .. }
            | Refusal::TooManyMembers { .. } => {
                Self::new(StatusCode::CONFLICT, refusal.code(), "It does not fit to how things stand", detail)
            }
        }
    }
}

/// A sentence of an error, as one of its own.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:leadfold:problem:{}", self.slug.replace('_', "-")),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.errors,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.retry || self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<&Fault> for FieldProblem {
    fn from(fault: &Fault) -> Self {
        Self { path: fault.path.clone(), code: fault.code.to_owned(), message: fault.message.clone() }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = sentence(&format!("cannot {error}"));
        match error {
            ServiceError::Overloaded { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "overloaded", "Too much is under way", detail).retry_later()
            }
            ServiceError::Stopping | ServiceError::Failed => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "The service is stopping", detail).retry_later()
            }
            ServiceError::Unpublished { .. } => {
                let detail = "The feed takes nothing now. Send it again in a moment; what was taken counts once.";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "feed-unavailable", "The feed takes nothing", detail)
                    .retry_later()
            }
            ServiceError::Behind { .. } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "behind", "The listing is behind", detail).retry_later()
            }
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        if let QueryError::UnknownFilter { name } = &error {
            return Self::unknown_parameter(name);
        }
        let message = sentence(&error.to_string());
        Self::field(error.field(), error.code(), message)
    }
}

impl From<ListingError> for Problem {
    fn from(error: ListingError) -> Self {
        if let ListingError::Query(error) = error { error.into() } else { Self::internal(&error) }
    }
}

impl From<PastsError> for Problem {
    fn from(error: PastsError) -> Self {
        match error {
            PastsError::Building => {
                let detail = sentence(&format!("cannot {error}"));
                let title = "The model of that time is being built";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "past-under-way", title, detail).retry_later()
            }
            PastsError::Service(error) => error.into(),
            PastsError::Engine(error) | PastsError::Past(PastError::Engine(error)) => error.into(),
            PastsError::Past(_) | PastsError::Thread(_) => Self::internal(&error),
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Malformed { faults } => Self::faults(&faults),
            CommandError::StillFaulty { fault } => {
                let title = "The input still can't be taken";
                let detail = "The input still can't be taken; send a repaired one in event.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "still-faulty", title, detail)
                    .with_errors(vec![FieldProblem::from(&fault)])
            }
            CommandError::PolicyChanged { version } => Self::policy_changed(version),
            CommandError::Engine(error) => error.into(),
        }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let detail = sentence(&error.to_string());
        match &error {
            EngineError::Refused(refusal) => Self::refused(refusal),
            EngineError::NothingToSuppress => {
                let title = "There is nothing to suppress";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing-to-suppress", title, detail)
            }
            EngineError::TooManySuppressed { .. } => {
                let title = "As many identifiers are suppressed as may be";
                let detail = sentence(&format!("cannot {error}"));
                Self::new(StatusCode::CONFLICT, "too-many-suppressed", title, detail)
            }
            EngineError::KeyReused { .. } => {
                let title = "The key was used for another request";
                Self::new(StatusCode::CONFLICT, "key-reused", title, detail)
            }
            EngineError::Policy { faults } => {
                let errors = faults.iter().map(|fault| FieldProblem {
                    path: fault.path.clone(),
                    code: fault.code.to_owned(),
                    message: fault.message.clone(),
                });
                let detail = format!("The policy has {} fault(s); errors names each.", faults.len());
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-policy", "The policy breaks a rule", detail)
                    .with_errors(errors.collect())
            }
            EngineError::RescoringUnderWay { .. } => {
                let title = "Open leads are still being scored anew";
                Self::new(StatusCode::CONFLICT, "rescoring-under-way", title, detail)
            }
            EngineError::UnknownTenant { .. } => Self::unknown_tenant(),
            EngineError::UnknownVisitor { .. }
            | EngineError::UnknownInteraction { .. }
            | EngineError::NotQuarantined { .. } => {
                Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such thing", detail)
            }
            EngineError::Log(_)
            | EngineError::Tables(_)
            | EngineError::Vault(_)
            | EngineError::WriterStopped
            | EngineError::Record { .. }
            | EngineError::Row { .. }
            | EngineError::StateRoot { .. }
            | EngineError::TablesAhead { .. }
            | EngineError::Sealed { .. } => Self::internal(&error),
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(_: PathRejection) -> Self {
        Self::field("", "invalid_path", "The address can't be read.")
    }
}

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Self::too_large("The body is larger than is allowed; send less at once.")
        } else {
            Self::field("", "invalid_body", "The body can't be read to its end.")
        }
    }
}
