//! The engine of a shared ledger against a real server: what it takes, what it answers, what it keeps
//! through everything that can break.

#[path = "../servers/mod.rs"]
mod servers;
mod stage;

mod taken;
