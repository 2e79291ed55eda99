//! The engine of a shared ledger against a real server: what it takes, what it answers, what it keeps
//! through everything that can break.

#[path = "../mirror/forward.rs"]
#[allow(dead_code)] // its other users need more of it
mod forward;
#[path = "../servers/mod.rs"]
#[allow(dead_code)]
mod servers;
mod stage;

mod broken;
mod ids;
mod tables;
mod taken;
mod together;
