//! Commands beside a running service: they go to it, and come to what they come to in its folder.

mod acts;
mod reach;
mod reading;
mod sending;
