//! What the tests share: numbers by chance that can be repeated, waits for a state with a bound, and the parts below.

pub(crate) mod check;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod serving;
pub(crate) mod site;
pub(crate) mod stream;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use anyhow::{Context, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The longest that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// How often a wait looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Fails instead of waiting for ever.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.with_context(|| format!("waited in vain for {what}"))
}

/// Asks until the answer is there.
pub(crate) async fn until<T>(what: &str, ask: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    soon(what, async {
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })
    .await?
}

/// So many rounds, or a multiple of them where there is time.
pub(crate) fn rounds(usual: u64) -> u64 {
    let factor = std::env::var("LEADFOLD_SOAK").ok().and_then(|text| text.parse().ok());
    usual * factor.unwrap_or(1_u64).max(1)
}

/// Numbers that are the same for the same seed.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Of the seed in the environment, or of a new one, which is printed.
    pub(crate) fn new() -> Self {
        let named = std::env::var("LEADFOLD_FAULT_SEED").ok().and_then(|text| text.parse().ok());
        let seed = named.unwrap_or_else(|| RandomState::new().hash_one(0_u8) % 1_000_000);
        println!("seed = {seed}: LEADFOLD_FAULT_SEED={seed} repeats it");
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// The same ones each time.
    pub(crate) fn zero() -> Self {
        Self(ChaCha8Rng::seed_from_u64(0))
    }

    /// Others, for somebody else.
    pub(crate) fn split(&mut self) -> Self {
        Self(ChaCha8Rng::seed_from_u64(self.0.next_u64()))
    }

    /// A number from 0 up to, not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }

    /// Any moment within so many milliseconds.
    pub(crate) async fn moment(&mut self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(milliseconds))).await;
    }
}
