//! API keys: who may do what, for which tenant.
//!
//! This crate knows roles, tokens and the file that keys are kept in. It knows no HTTP, doesn't know which tenants
//! there are, and leaves to the caller which permission an act needs.
//!
//! A token is 256 random bits, so its plain SHA-256 is all that is kept: nobody can try out that many, and a slow hash,
//! which protects what people choose, would only slow down each request.

#![forbid(unsafe_code)]

mod role;
mod scope;

mod record;
mod token;

mod error;
mod file;
mod store;

mod guard;

pub use error::AccessError;
pub use file::ACCESS_FILE;
pub use guard::{Denied, Guard, Principal};
pub use record::{KeyRecord, NewKey};
pub use role::{Permission, Role, UnknownRole};
pub use scope::{BadScope, Scope};
pub use store::{KEYS_MAX, KeyStore};
pub use token::{KeyId, Token};
