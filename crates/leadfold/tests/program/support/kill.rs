//! Killing the program at a moment that the state of its folder names.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::Child;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The signal that nothing can catch.
const SIGKILL: i32 = 9;

/// Numbers that are the same for the same seed.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number from 0 up to, not including, `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }
}

/// A moment that comes after so many looks: any moment, without a clock.
pub(crate) fn looks(mut number: u64) -> impl FnMut() -> bool {
    move || {
        number = number.saturating_sub(1);
        number == 0
    }
}

/// Looks again and again until the moment has come, and kills the process then. Tells whether it was still running.
pub(crate) fn kill_when(mut child: Child, mut has_come: impl FnMut() -> bool) -> bool {
    while !has_come() {
        if child.try_wait().expect("a child can be asked").is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends").signal() == Some(SIGKILL)
}

/// Gives the process these bytes, of which it has taken all but what a pipe holds, and lets it wait for more.
pub(crate) fn feed(child: &mut Child, bytes: &[u8]) {
    let input = child.stdin.as_mut().expect("standard input is piped");
    input.write_all(bytes).expect("the process reads");
}
