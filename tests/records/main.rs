//! Records of all nodes in one place: what mirrors deliver to PostgreSQL, searched, exported, and held against
//! the journals that it came from.

mod export;
mod forger;
mod nodes;
#[path = "../fixtures/records.rs"]
mod records;
mod rows;
mod search;
#[path = "../servers/mod.rs"]
#[allow(dead_code)] // its other users need more of it
mod servers;
mod verify;
