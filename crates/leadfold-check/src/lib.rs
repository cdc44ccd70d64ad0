//! Checks a bundle that `leadfold prove` wrote, offline: that its records stand in the log whose head was signed, that none
//! of a person's earlier records was left out, and that not one bit was changed.
//!
//! It shares no code with Leadfold. It doesn't decide anything again, and can't know what the log holds beyond the signed
//! head, nor what a sealed part says. The layout of bundles is that of `docs/proofs.md`.

#![forbid(unsafe_code)]

mod check;
mod manifest;
mod merkle;
mod note;

pub use check::{Checked, Fault, Known, check};
