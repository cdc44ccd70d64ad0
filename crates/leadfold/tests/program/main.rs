//! The program from outside: what it prints, how it ends, and what is in its folder afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests and their helpers")]

mod bad_input;
mod commands;
mod crash;
mod ecom;
mod erasure;
mod remote;
mod retention;
mod support;
mod suppression;
