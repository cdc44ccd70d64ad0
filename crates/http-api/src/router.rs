//! All routes, with what stands around them: limits, time, compression, panics, counts.

use std::sync::Arc;
use std::time::Duration;

use axum::error_handling::HandleErrorLayer;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{BoxError, Json, Router};
use http::{HeaderValue, Method, header};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::util::option_layer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::decompression::RequestDecompressionLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{HeaderBuilder, ObjectBuilder, PathItem, RefOr, Type};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::answer::POSITION_HEADER;
use crate::exports::ROWS_HEADER;
use crate::options::ApiOptions;
use crate::problem::{Problem, ProblemBody};
use crate::state::Api;
use crate::{
    acts, changes, checkpoint, duplicates, events, explain, exports, funnel, health, leads, linger, nurture, observe,
    orphans, policies, privacy, projections, proofs, quarantine, report, scores, segment, sql, suppressions, visitors,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Leadfold",
        description = "Interactions in, leads out, every one explained by its log. Answers carry the log position that they were true at; errors are RFC 9457 problems."
    ),
    modifiers(&Security),
    components(schemas(ProblemBody)),
    tags(
        (name = "events", description = "Interactions in"),
        (name = "leads", description = "Reading leads, and what no lead could take"),
        (name = "acting", description = "What operators do"),
        (name = "visitors", description = "The people behind interactions"),
        (name = "policy", description = "What people configure"),
        (name = "quarantine", description = "Inputs that could not be taken"),
        (name = "analytics", description = "Counting and comparing"),
        (name = "operations", description = "For whoever keeps it running"),
    )
)]
struct Description;

struct Security;

impl Modify for Security {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, as `leadfold keys create` shows it. Not needed as long as no key was made."))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
        let none = SecurityRequirement::default();
        api.security = Some(vec![SecurityRequirement::new("api_key", Vec::<String>::new()), none]);
    }
}

fn routes_of_api() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(events::publish))
        .routes(routes!(leads::list, acts::open))
        .routes(routes!(leads::show, acts::set_attributes))
        .routes(routes!(leads::timeline))
        .routes(routes!(scores::show))
        .routes(routes!(acts::close))
        .routes(routes!(acts::convert))
        .routes(routes!(acts::withdraw))
        .routes(routes!(acts::reopen))
        .routes(routes!(acts::change_type))
        .routes(routes!(acts::note))
        .routes(routes!(acts::assign))
        .routes(routes!(orphans::list))
        .routes(routes!(acts::adopt_orphan))
        .routes(routes!(acts::move_interaction))
        .routes(routes!(acts::discredit))
        .routes(routes!(visitors::show, privacy::erase))
        .routes(routes!(privacy::export))
        .routes(routes!(suppressions::list, suppressions::suppress, suppressions::unsuppress))
        .routes(routes!(visitors::timeline))
        .routes(routes!(nurture::show))
        .routes(routes!(duplicates::list))
        .routes(routes!(acts::merge))
        .routes(routes!(acts::unmerge))
        .routes(routes!(acts::settle))
        .routes(routes!(policies::show, policies::adopt))
        .routes(routes!(policies::rescoring))
        .routes(routes!(policies::versions))
        .routes(routes!(policies::show_version))
        .routes(routes!(policies::lead_types))
        .routes(routes!(explain::show))
        .routes(routes!(sql::query))
        .routes(routes!(report::query))
        .routes(routes!(funnel::show))
        .routes(routes!(quarantine::list))
        .routes(routes!(quarantine::show))
        .routes(routes!(quarantine::retry))
        .routes(routes!(quarantine::discard))
        .routes(routes!(checkpoint::make))
        .routes(routes!(projections::list))
        .routes(routes!(projections::parked))
        .routes(routes!(projections::pause))
        .routes(routes!(projections::resume))
        .routes(routes!(projections::rebuild))
        .routes(routes!(projections::discard))
        .routes(routes!(proofs::list, proofs::sign))
        .routes(routes!(proofs::prove))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

/// Routes whose answers may take longer than a request may.
fn streams_of_api() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(changes::stream))
        .routes(routes!(exports::leads))
        .routes(routes!(exports::interactions))
        .routes(routes!(exports::events))
        .routes(routes!(exports::score))
}

/// What `/openapi.json` says.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    let streaming = streams_of_api();
    let (_, mut description) = routes_of_api().merge(streaming).split_for_parts();
    description.info.version = env!("CARGO_PKG_VERSION").to_owned();
    description.paths.paths.values_mut().for_each(describe_position);
    description
}

/// Every answer has the header, so no route need say it.
fn describe_position(item: &mut PathItem) {
    let PathItem { get, put, post, delete, patch, .. } = item;
    for operation in [get, put, post, delete, patch].into_iter().flatten() {
        for response in operation.responses.responses.values_mut() {
            if let RefOr::T(response) = response {
                let position = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).build();
                let header = HeaderBuilder::new()
                    .schema(Some(position))
                    .description(Some("The log position that the answer was true at; of a command, its record"));
                response.headers.insert("X-Leadfold-Position".to_owned(), header.build().into());
            }
        }
    }
}

/// The whole API over a running engine.
pub fn router(api: Api) -> Router {
    let options = Arc::clone(&api.options);
    let description = description();
    let document = description.clone();
    let (timed, _) = routes_of_api().split_for_parts();
    let timed = timed
        .merge(segment::routes())
        .route("/openapi.json", axum::routing::get(|| async move { Json(document) }))
        .layer(middleware::from_fn_with_state(options.request_timeout, time_limit));
    let (streams, _) = streams_of_api().split_for_parts();
    let browser = SwaggerUi::new("/docs").config(utoipa_swagger_ui::Config::from("/openapi.json"));
    let limits = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(|_: BoxError| async { Problem::busy() }))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(options.requests_max));
    let within = ServiceBuilder::new()
        .layer(middleware::from_fn(observe::observe))
        .layer(option_layer(cors(&options)))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(linger::linger))
        .layer(middleware::from_fn_with_state(api.clone(), position))
        .layer(CatchPanicLayer::custom(|_| panicked()))
        .layer(limits)
        .layer(middleware::from_fn(known_encoding))
        .layer(RequestDecompressionLayer::new())
        .layer(DefaultBodyLimit::max(options.body_bytes_max));
    timed
        .merge(streams)
        .with_state(api)
        .merge(browser)
        .fallback(|| async { Problem::no_route() })
        .method_not_allowed_fallback(|| async { Problem::wrong_method() })
        .layer(within)
}

/// Which pages of other origins may call; without any, not even preflights are answered.
fn cors(options: &ApiOptions) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = options.cors_origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(tower_http::cors::AllowHeaders::mirror_request())
        .expose_headers([POSITION_HEADER, ROWS_HEADER, header::ETAG, header::RETRY_AFTER]);
    Some(layer)
}

fn panicked() -> Response {
    tracing::error!("a request panicked; this is an error of the program");
    Problem::internal(&service::ServiceError::Failed).into_response()
}

async fn time_limit(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::timeout().into_response(),
    }
}

/// Refuses bodies that nothing here can decompress.
async fn known_encoding(request: Request, next: Next) -> Response {
    let encodings = request.headers().get_all(header::CONTENT_ENCODING);
    let known = |encoding: &HeaderValue| {
        let encoding = encoding.as_bytes();
        encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"identity")
    };
    if encodings.iter().count() > 1 || !encodings.iter().all(known) {
        return Problem::unsupported_media("Send the body in gzip, or as it is.").into_response();
    }
    next.run(request).await
}

/// Every answer says where the log stood.
async fn position(State(api): State<Api>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(POSITION_HEADER).or_insert_with(|| HeaderValue::from(api.service.head().0));
    response
}
