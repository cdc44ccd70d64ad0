//! The published contract of Leadfold: interactions and commands in, lead events out, and records as they are stored.
//!
//! Knows the wire and the stored formats, their versions and how an old one becomes the new one. Does no I/O and decides
//! nothing.

#![forbid(unsafe_code)]

pub mod cloud_event;

pub mod command_document;

pub mod policy_document;

pub mod lead_event;

pub mod asyncapi;

pub mod stored;

pub mod raw_object;

pub mod text;

pub use stored::{CODEC, DecodeError, Facts, InputFacts, InteractionFacts, Personal};
