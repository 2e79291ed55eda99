//! Several nodes of one shared ledger against a real server: what one hears all know, and what becomes of
//! it when the server is killed, silent, goes back, or forgets.
//!
//! `CONSENTRY_REVOCATIONS=200 cargo test --test consent_nodes -- --nocapture silences` measures how soon a
//! revocation is in force on another node.

#[path = "../mirror/forward.rs"]
#[allow(dead_code)] // its other users need more of it
mod forward;
#[path = "../proxy/running.rs"]
#[allow(dead_code)] // its other users need more of it
mod running;
#[path = "../servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;
mod stage;

mod claims;
mod outages;
mod proxies;
mod sessions;
mod truth;
