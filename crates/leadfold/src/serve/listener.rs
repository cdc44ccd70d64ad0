//! The listening socket: plain or TLS, with bounds on connections and on slow ones.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use axum::Router;
use axum_server::tls_rustls::RustlsConfig;
use axum_server::{Handle, Server};
use tokio_util::sync::CancellationToken;

use crate::cli::ServeArgs;
use crate::serve::limited::LimitedAcceptor;

/// How long requests may go on once the service stops.
const DRAIN: Duration = Duration::from_secs(20);
/// How often certificate files are looked at.
const CERTIFICATES_EVERY: Duration = Duration::from_secs(2);

/// A socket that is bound but doesn't answer yet.
pub(crate) struct Listener {
    socket: TcpListener,
    at: SocketAddr,
    tls: Option<(Certificates, RustlsConfig)>,
    connections_max: usize,
}

struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
}

impl Certificates {
    async fn config(&self) -> anyhow::Result<RustlsConfig> {
        let config = RustlsConfig::from_pem_file(&self.certificate, &self.key).await;
        config.with_context(|| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            format!("cannot use the certificate {certificate} with the key {key}; both must be PEM and belong together")
        })
    }

    /// When the files were changed last, to notice that they were.
    fn changed(&self) -> [Option<SystemTime>; 2] {
        let changed = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
        [changed(&self.certificate), changed(&self.key)]
    }
}

impl Listener {
    /// Binds the address of the arguments, and reads their certificate.
    pub(crate) async fn bind(args: &ServeArgs) -> anyhow::Result<Self> {
        let socket = TcpListener::bind(args.listen).with_context(|| {
            format!(
                "cannot listen on {}; is something else listening there? --listen takes another address",
                args.listen
            )
        })?;
        socket.set_nonblocking(true).context("cannot prepare the socket")?;
        let at = socket.local_addr().context("cannot tell the address")?;
        let tls = match (&args.tls_certificate, &args.tls_key) {
            (Some(certificate), Some(key)) => {
                let files = Certificates { certificate: certificate.clone(), key: key.clone() };
                let config = files.config().await?;
                Some((files, config))
            }
            (None, _) | (_, None) => None,
        };
        Ok(Self { socket, at, tls, connections_max: args.connections_max })
    }

    /// Where it can be reached.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.at)
    }

    /// Answers until `stopping`, and then until the requests under way have ended.
    pub(crate) async fn serve(self, app: Router, stopping: CancellationToken) -> anyhow::Result<()> {
        let handle = Handle::new();
        let drain = handle.clone();
        let stop = stopping.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            drain.graceful_shutdown(Some(DRAIN));
        });
        let app = app.into_make_service();
        let server = axum_server::from_tcp(self.socket).context("cannot listen")?.handle(handle);
        let served = match self.tls {
            None => {
                let mut server = server.map(|inner| LimitedAcceptor::new(inner, self.connections_max));
                bound_headers(&mut server);
                server.serve(app).await
            }
            Some((files, tls)) => {
                tokio::spawn(reload(files, tls.clone(), stopping));
                let acceptor = axum_server::tls_rustls::RustlsAcceptor::new(tls);
                let mut server = server.acceptor(LimitedAcceptor::new(acceptor, self.connections_max));
                bound_headers(&mut server);
                server.serve(app).await
            }
        };
        served.context("cannot serve")
    }
}

/// A caller must send its headers within some seconds.
fn bound_headers<A>(server: &mut Server<SocketAddr, A>) {
    server.http_builder().http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
}

/// Takes changed certificate files into use. Files that can't be used leave the old ones in place.
async fn reload(files: Certificates, tls: RustlsConfig, stopping: CancellationToken) {
    let mut known = files.changed();
    while !stopping.is_cancelled() {
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(CERTIFICATES_EVERY) => {}
        }
        let found = files.changed();
        if found == known {
            continue;
        }
        match tls.reload_from_pem_file(&files.certificate, &files.key).await {
            Ok(()) => {
                tracing::info!("the changed certificate is in use");
                known = found;
            }
            Err(error) => tracing::warn!(%error, "the changed certificate can't be used; the old one stays"),
        }
    }
}
