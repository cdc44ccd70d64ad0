//! Lead events out.

#![forbid(unsafe_code)]
