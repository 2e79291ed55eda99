//! The engine of a shared ledger against a real server: what it takes, what it answers, what it keeps
//! through everything that can break.

#[path = "../servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;
mod stage;

mod taken;
