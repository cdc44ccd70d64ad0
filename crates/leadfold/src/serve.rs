//! `leadfold serve`: puts the parts together, runs them until a signal or a failure, and brings them to rest in order.
//!
//! ```text
//! up    folder → engine and listing → address → feed, publisher → HTTP → ready
//! down  HTTP takes nothing new → feed stops → what is queued becomes durable → listing catches up → tables → folder
//! ```

mod address;
mod analysed;
mod forgotten;
mod heads;
mod limited;
mod listener;
pub(crate) mod nats;
mod outgoing;
mod signals;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use access::Guard;
use anyhow::{Context, bail};
use http_api::{Analysis, Api, ApiOptions, FeedErasing, Inlet, PastModels};
use jetstream::FeedMark;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use proofs::Notary;
use service::{Service, ServiceHandle, ServiceOptions};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use address::Address;
pub(crate) use analysed::limits as query_limits;
pub(crate) use signals::watch as watch_signals;

use self::nats::{JetStreamInlet, Known, LateNats, Nats, Waiting};
use self::outgoing::Deliveries;
use crate::cli::ServeArgs;
use crate::failure::UsageError;
use crate::folder::Folder;
use crate::settings::Settings;

/// Threads for requests: they hand their work to the stages, which have threads of their own.
const REQUEST_THREADS: usize = 2;
/// Readers of changes at the same time; each has a thread.
const STREAMS_MAX: usize = 64;
/// How often what is counted is tidied up.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Bounds of the buckets of durations, in seconds.
const SECONDS_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Runs the service until it is told to stop.
pub(crate) fn run(args: &ServeArgs, settings: &Settings) -> anyhow::Result<()> {
    // One provider for server and clients; an error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let guard = Guard::open(&settings.data).context("cannot read the API keys")?;
    check_reach(args, &guard)?;
    let metrics = record_metrics()?;
    let folder = Folder::open_or_create(settings)?;
    let projector = folder.projector()?;
    let options = ServiceOptions { clock: settings.clock, fed: args.nats.nats.is_some(), ..ServiceOptions::default() };
    let mark = nats::mark(&folder.engine)?;
    let notary = Arc::new(folder.notary()?);
    let (engine, held) = folder.release();
    let parts = engine.parts().clone();
    let erased_before = engine.erasures()?.last().map(|(position, _)| *position).unwrap_or_default();
    let service = Service::start(engine, projector, &settings.data, options)?;
    let analysed = analysed::Analysed::start(&settings.data, &parts, (service.handle().erasures(), erased_before))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(REQUEST_THREADS)
        .enable_all()
        .build()
        .context("cannot start the threads for requests")?;
    let operated = Operated { mark, guard, metrics, analysis: Some(analysed.analysis()), notary };
    let served = runtime.block_on(serve(args, settings, &service, operated));
    // Requests that are cut off must not hold the stages up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let stopped = service.stop();
    analysed.stop();
    drop(held);
    stopped.context("cannot go on, because storage failed; start again to find out what is durable")?;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// What serving needs besides the engine.
struct Operated {
    mark: Option<FeedMark>,
    guard: Guard,
    metrics: PrometheusHandle,
    analysis: Option<Analysis>,
    notary: Arc<Notary>,
}

/// Without keys whoever reaches the service may do everything, so it must not be reached from elsewhere.
fn check_reach(args: &ServeArgs, guard: &Guard) -> anyhow::Result<()> {
    if guard.is_open() && !args.listen.ip().is_loopback() {
        bail!(UsageError(format!(
            "--listen {} can be reached from elsewhere, but there is no API key yet; make one first \
             (`leadfold keys create --role admin --tenant '*'`), or listen on 127.0.0.1",
            args.listen
        )));
    }
    Ok(())
}

fn record_metrics() -> anyhow::Result<PrometheusHandle> {
    let builder =
        PrometheusBuilder::new().set_buckets(&SECONDS_BUCKETS).context("cannot count: the buckets are wrong")?;
    builder.install_recorder().context("cannot count what happens")
}

async fn serve(args: &ServeArgs, settings: &Settings, service: &Service, operated: Operated) -> anyhow::Result<()> {
    let Operated { mark, guard, metrics, analysis, notary } = operated;
    let stopping = CancellationToken::new();
    let signals = signals::watch(stopping.clone())?;
    // A port that is taken, or a certificate that can't be used, is told before anything goes out or comes in.
    let listener = listener::Listener::bind(args).await?;
    let upkeep = tokio::spawn(upkeep(metrics.clone()));
    let handle = service.handle();
    let is_open = guard.is_open();
    let feed_stopping = CancellationToken::new();
    let mut deliveries = Deliveries::new(&settings.data, handle.clone(), stopping.clone());
    let feed = Feed::start(args, settings, &handle, mark, &feed_stopping);
    if let Some(nats) = &feed.nats {
        deliveries.deliver_to_stream(nats.clone())?;
    }
    if let Some(file) = &args.webhooks {
        deliveries.deliver_to_webhooks(file)?;
    }
    let every = Duration::from_secs(args.sign_every.saturating_mul(60));
    let signing = tokio::spawn(heads::sign_regularly(handle.clone(), Arc::clone(&notary), every));
    let past = PastModels::new(&handle, &settings.data.join(crate::folder::PAST));
    let forgetting = tokio::spawn(forget_with_erasures(past.clone(), handle.clone()));
    let (connections, delivering) = (feed.nats.clone(), deliveries.handles());
    let api = Api {
        service: handle.clone(),
        inlet: feed.inlet,
        tenant_first: feed.nats.is_some(),
        guard,
        metrics,
        analysis,
        past: past.clone(),
        feed: erasing(feed.nats.clone(), &handle),
        notary: Some(notary),
        ready: Arc::new(move || {
            connections.as_ref().and_then(LateNats::trouble).or_else(|| Deliveries::trouble(&delivering))
        }),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        stopping: {
            let stopping = stopping.clone();
            Arc::new(move || stopping.is_cancelled())
        },
        options: Arc::new(ApiOptions {
            cors_origins: args.cors_origins.clone(),
            checkpoint_folder: Some(settings.data.join(crate::folder::CHECKPOINT)),
            ..ApiOptions::default()
        }),
    };
    let address = Address::write(&settings.data, &listener.url())?;
    announce(&listener.url(), is_open);
    tokio::spawn(tell_when_ready(service.handle()));
    let http = listener.serve(http_api::router(api), stopping.clone());
    let mut feeding = feed.task;
    let served = tokio::select! {
        served = http => served,
        () = service.ended() => Ok(()),
        fed = &mut feeding => fed.unwrap_or_else(|_| bail!("cannot read the feed: its task panicked")),
    };
    stopping.cancel();
    feed_stopping.cancel();
    if !feeding.is_finished() {
        // Batches under way are taken; the next start goes on behind them.
        let _ = feeding.await;
    }
    deliveries.ended().await;
    drop(address);
    signing.abort();
    past.stop();
    forgetting.abort();
    upkeep.abort();
    signals.abort();
    served
}

/// Where inputs come from besides HTTP, and the way for those of HTTP.
struct Feed {
    /// `None` for a local feed.
    nats: Option<LateNats>,
    inlet: Arc<dyn Inlet>,
    /// Ends when it is told to, or when the feed can't go on.
    task: JoinHandle<anyhow::Result<()>>,
}

impl Feed {
    /// Begins to connect to the feed of the arguments and to read it; without one the service takes inputs directly.
    ///
    /// The service answers meanwhile, and says that it is not ready: a server that is away must not hide it.
    fn start(
        args: &ServeArgs,
        settings: &Settings,
        service: &ServiceHandle,
        mark: Option<FeedMark>,
        stop: &CancellationToken,
    ) -> Self {
        let (args, stop, data) = (&args.nats, stop.clone(), settings.data.clone());
        if args.nats.is_none() {
            let task = tokio::spawn(async move {
                stop.cancelled().await;
                Ok(())
            });
            return Self { nats: None, inlet: Arc::new(service.clone()), task };
        }
        let (late, waiting) = (LateNats::default(), Waiting::default());
        let inlet = Arc::new(JetStreamInlet::new(late.clone(), waiting.clone()));
        let (args, service, connected) = (args.clone(), service.clone(), late.clone());
        let task = tokio::spawn(async move {
            let known = if mark.is_some() { Known::Read } else { Known::New };
            let nats = match Nats::open(&args, known, &stop).await {
                Err(_) if stop.is_cancelled() => return Ok(()),
                opened => opened?,
            };
            connected.set(nats.clone());
            tokio::spawn(forgotten::finish(nats.clone(), service.clone(), data));
            nats.feed(service, mark, waiting, stop).await
        });
        Self { nats: Some(late), inlet, task }
    }
}

/// What takes messages of erased people out of a feed elsewhere.
fn erasing(nats: Option<LateNats>, service: &ServiceHandle) -> Option<Arc<dyn FeedErasing>> {
    let eraser = forgotten::FeedEraser::new(nats?, service.clone());
    Some(Arc::new(eraser))
}

/// Says where it listens. Whoever started the service may not read it to the end, and that must not end the service.
fn announce(url: &str, is_open: bool) {
    let mut text = format!(
        "listening on {url}\n  {url}/docs          the API, to read and to try\n  {url}/v1/leads      the leads\n"
    );
    if is_open {
        text.push_str("no API key was made, so whoever reaches this machine's loopback address may do everything\n");
    }
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    tracing::info!(url, "serving");
}

/// Tells systemd once the listing can be read.
async fn tell_when_ready(service: ServiceHandle) {
    // An error means that the listing has stopped, and then the service isn't ready.
    if service.listing().wait_for(|state| state.is_ready).await.is_ok() {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    }
}

/// Lets go of what is kept of the past with each erasure, whichever way it came.
async fn forget_with_erasures(past: PastModels, service: ServiceHandle) {
    let mut erasures = service.erasures();
    while erasures.changed().await.is_ok() {
        past.forget().await;
    }
}

async fn upkeep(metrics: PrometheusHandle) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    loop {
        every.tick().await;
        metrics.run_upkeep();
    }
}

/// Where the service listens where nobody says.
pub(crate) const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);
