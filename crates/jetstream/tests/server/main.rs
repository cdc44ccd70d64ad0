//! Everything that needs a server, with the real one.

mod feed;
mod interruption;
mod loss;
mod permission;
mod poison;
mod provision;
mod proxy;
mod publish;
mod support;
