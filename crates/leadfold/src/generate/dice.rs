//! Draws whose values stay the same in every release. Knows nothing of what is drawn for.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, Zipf};

/// A seeded source of draws.
pub(super) struct Dice {
    source: ChaCha8Rng,
}

impl Dice {
    /// The same seed gives the same draws.
    pub(super) fn new(seed: u64) -> Self {
        Self { source: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.source.next_u64()
    }

    /// A number from 0 to `end - 1`; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(end)) >> 64) as u64
    }

    /// True in `in_thousand` of 1,000 cases.
    pub(super) fn chance(&mut self, in_thousand: u64) -> bool {
        self.below(1_000) < in_thousand
    }

    /// The value of one of the rows, each as likely as its weight says; the default where there is none.
    pub(super) fn weighted<T: Copy + Default>(&mut self, rows: &[(u64, T)]) -> T {
        let total = rows.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        for (weight, value) in rows {
            if left < *weight {
                return *value;
            }
            left -= weight;
        }
        T::default()
    }

    /// A rank from 0 to `ranks - 1`, low ones far more often.
    pub(super) fn rank(&mut self, ranks: u64, exponent: f64) -> u64 {
        let rank = Zipf::new(ranks.max(1) as f64, exponent).map_or(1.0, |zipf| zipf.sample(&mut self.source));
        (rank as u64).clamp(1, ranks.max(1)) - 1
    }

    /// A positive number around `shape`'s median, sometimes much larger.
    pub(super) fn long_tailed(&mut self, shape: LongTail) -> u64 {
        let sigma = f64::from(shape.spread_percent) / 100.0;
        let drawn = LogNormal::new((shape.median.max(1) as f64).ln(), sigma)
            .map_or(shape.median as f64, |tail| tail.sample(&mut self.source));
        (drawn as u64).clamp(shape.least, shape.most)
    }
}

/// A log-normal distribution, cut off at both ends.
#[derive(Clone, Copy)]
pub(super) struct LongTail {
    /// Half of the draws are below.
    pub(super) median: u64,
    /// The standard deviation of the logarithm, in percent.
    pub(super) spread_percent: u32,
    /// The smallest draw.
    pub(super) least: u64,
    /// The largest draw.
    pub(super) most: u64,
}

/// Mixes a number so that neighbours look unrelated (the finaliser of SplitMix64).
pub(super) const fn mix(number: u64) -> u64 {
    let a = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let b = (a ^ (a >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let c = (b ^ (b >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    c ^ (c >> 31)
}

/// The entry of a table that a random number stands for; the default of an empty table.
pub(super) fn entry<T: Copy + Default>(table: &[T], number: u64) -> T {
    let place = number.checked_rem(table.len() as u64).unwrap_or(0);
    table.get(place as usize).copied().unwrap_or_default()
}
