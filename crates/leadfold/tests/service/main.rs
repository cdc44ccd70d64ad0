//! The running service from outside: over HTTP, with keys and without, cut off and started again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests and their helpers")]

mod access;
mod analytics;
mod clock;
mod commands;
mod description;
mod discretion;
mod erasure;
mod events;
mod exports;
mod limits;
mod once;
mod past;
mod policy;
mod reach;
mod reports;
mod sdk;
mod stream;
mod support;
mod suppression;
mod tls;
