//! What a connection says beside its answers: that it came back, that a permission was missing, that it was too slow.

use std::collections::VecDeque;

use async_nats::{Event, ServerError};
use tokio::sync::watch;

/// How many refused subjects are remembered. A request looks for its own one right after it was sent.
const DENIALS_MAX: usize = 256;

/// Drops come by the thousand.
const DROPS_PER_WARNING: u64 = 10_000;

/// Shared between a connection's handles and its event callback.
#[derive(Debug)]
pub(crate) struct Signals {
    counts: watch::Sender<Counts>,
    denials: watch::Sender<Denials>,
}

/// What has happened to a connection so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// How often it was there.
    pub(crate) connects: u64,
    /// How often the client dropped a message because nobody took it.
    pub(crate) drops: u64,
}

#[derive(Debug, Default)]
struct Denials {
    /// How many there were in all.
    count: u64,
    /// The latest, with their number from 1.
    recent: VecDeque<(u64, String)>,
}

/// Waits for the server to refuse one subject.
pub(crate) struct Denial {
    receiver: watch::Receiver<Denials>,
    since: u64,
    subject: String,
}

impl Denial {
    /// Returns when the server has said that the subject may not be used; never, if it doesn't.
    pub(crate) async fn wait(mut self) {
        let (since, subject) = (self.since, self.subject);
        let named = |denials: &Denials| denials.recent.iter().any(|(number, it)| *number > since && *it == subject);
        if self.receiver.wait_for(named).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { counts: watch::Sender::default(), denials: watch::Sender::new(Denials::default()) }
    }

    /// Changes whenever a connection is there (again), or has dropped something.
    pub(crate) fn counts(&self) -> watch::Receiver<Counts> {
        self.counts.subscribe()
    }

    /// Watches a subject from now on.
    pub(crate) fn denial(&self, subject: &str) -> Denial {
        let receiver = self.denials.subscribe();
        let since = receiver.borrow().count;
        Denial { receiver, since, subject: subject.into() }
    }

    pub(crate) fn take(&self, name: &str, event: Event) {
        match event {
            Event::Connected => self.connected(name),
            Event::Disconnected => tracing::warn!(connection = name, "the connection to NATS is lost; reconnecting"),
            Event::SlowConsumer(_) => self.dropped(name),
            Event::ServerError(ServerError::Other(text)) => self.server_error(name, &text),
            Event::LameDuckMode => tracing::info!(connection = name, "the NATS server is about to shut down"),
            Event::Draining | Event::Closed => tracing::info!(connection = name, "the connection to NATS is closed"),
            Event::ServerError(error @ (ServerError::AuthorizationViolation | ServerError::SlowConsumer(_))) => {
                tracing::warn!(connection = name, %error, "the NATS server has refused something");
            }
            Event::ClientError(error) => tracing::debug!(connection = name, %error, "cannot reach NATS; trying again"),
        }
    }

    fn connected(&self, name: &str) {
        let mut again = false;
        self.counts.send_modify(|counts| {
            again = counts.connects > 0;
            counts.connects += 1;
        });
        if again {
            metrics::counter!("leadfold_feed_reconnects_total").increment(1);
            tracing::info!(connection = name, "connected to NATS again");
        }
    }

    fn dropped(&self, name: &str) {
        metrics::counter!("leadfold_feed_slow_consumer_total").increment(1);
        let mut drops = 0;
        self.counts.send_modify(|counts| {
            drops = counts.drops;
            counts.drops += 1;
        });
        if drops.is_multiple_of(DROPS_PER_WARNING) {
            tracing::warn!(connection = name, drops, "messages were dropped because they were not taken in time");
        }
    }

    fn server_error(&self, name: &str, text: &str) {
        let Some(subject) = denied_subject(text) else {
            tracing::warn!(connection = name, error = text, "the NATS server reports an error");
            return;
        };
        let mut known = false;
        self.denials.send_modify(|denials| {
            known = denials.recent.iter().any(|(_, it)| it == subject);
            denials.recent.retain(|(_, it)| it != subject);
            denials.count += 1;
            denials.recent.push_back((denials.count, subject.into()));
            if denials.recent.len() > DENIALS_MAX {
                denials.recent.pop_front();
            }
        });
        if !known {
            tracing::warn!(connection = name, subject, "this NATS user may not use the subject");
        }
    }
}

/// The subject of `Permissions Violation for Publish to "…"`.
fn denied_subject(text: &str) -> Option<&str> {
    let start = text.get(.."permissions violation".len())?;
    if !start.eq_ignore_ascii_case("permissions violation") {
        return None;
    }
    text.split('"').nth(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refused_subject_is_found_in_the_servers_words() {
        assert_eq!(denied_subject("Permissions Violation for Publish to \"a.b\""), Some("a.b"));
        assert_eq!(denied_subject("Permissions Violation for Subscription to \"c\" using queue \"q\""), Some("c"));
        assert_eq!(denied_subject("Stale Connection"), None);
    }
}
