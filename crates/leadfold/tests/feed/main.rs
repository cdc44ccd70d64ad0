//! The service against the real NATS server, while everything around it fails: the log holds what was accepted, in order
//! and once, and the leads are what a fold of the log makes of it.
//!
//! `LEADFOLD_FAULT_SEED` repeats a run, whose seed is printed when it fails. `LEADFOLD_SOAK` makes all of it so many times
//! as long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests and their helpers")]

mod erasure;
mod guards;
mod heads;
mod inputs;
mod kills;
mod local;
mod nurture;
mod outages;
#[path = "../../../jetstream/tests/server/proxy.rs"]
mod proxy;
mod requests;
mod storage;
mod support;
mod suppression;
mod traces;
