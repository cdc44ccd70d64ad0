//! The engine at work.

#![forbid(unsafe_code)]
