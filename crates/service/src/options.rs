//! Settings of a running engine, each with a default for a two-core machine.

use std::time::Duration;

use engine::Clock;
use feed::Limits;

/// Settings, each with a default for a two-core machine.
#[derive(Clone, Copy, Debug)]
pub struct ServiceOptions {
    /// Where "now" comes from; the engine's own.
    pub clock: Clock,
    /// What an event may measure.
    pub limits: Limits,
    /// Bytes of inputs that may be under way, from being queued until they are answered. Whoever brings more waits.
    pub queued_bytes_max: u32,
    /// How long a caller waits for room in the queue before it is told to come back.
    pub patience: Duration,
    /// Whether a feed brings the inputs: no time passes until it is known how far it was read.
    pub fed: bool,
    /// How often the clocks of the tenants are looked at.
    pub tick_every: Duration,
    /// Connections that read the listing at the same time; and as many threads that read records.
    pub readers_max: usize,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            clock: Clock::System,
            limits: Limits::default(),
            queued_bytes_max: 64 << 20,
            patience: Duration::from_secs(5),
            fed: false,
            tick_every: Duration::from_secs(1),
            readers_max: 8,
        }
    }
}
