//! Everything that needs a server, with the real one.

mod feed;
mod loss;
mod support;
