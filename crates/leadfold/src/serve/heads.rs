//! Heads of the log, signed now and then while the service runs.

use std::sync::Arc;
use std::time::Duration;

use event_log::LogPosition;
use proofs::Notary;
use service::ServiceHandle;

/// Signs a head every so often, as long as there is something new to sign.
pub(super) async fn sign_regularly(service: ServiceHandle, notary: Arc<Notary>, every: Duration) {
    let mut signed = service.with_engine(|engine| engine.newest_signed_head()).await;
    loop {
        tokio::time::sleep(every).await;
        let newest = match &signed {
            Ok(Ok(position)) => *position,
            Ok(Err(_)) | Err(_) => LogPosition::START,
        };
        // Behind the last head stands nothing but itself.
        if service.head() <= newest {
            continue;
        }
        match http_api::sign_head(&service, &notary).await {
            Ok(head) => {
                tracing::info!(position = head.position.0, size = head.size, "signed the head of the log");
                signed = Ok(Ok(head.position));
            }
            Err(problem) => tracing::warn!(?problem, "the head of the log was not signed; it is tried again"),
        }
    }
}
