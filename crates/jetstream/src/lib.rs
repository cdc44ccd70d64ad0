//! The feed that a JetStream stream is.

#![forbid(unsafe_code)]
