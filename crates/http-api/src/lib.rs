//! Leadfold over HTTP.

#![forbid(unsafe_code)]
