//! What the proxy keeps on record: the journal, what is encrypted, signed, kept and given up in it, and what
//! is found, told and handed over.

mod archive;
mod audit_commands;
mod export;
mod index;
mod journal;
mod kills;
#[path = "../fixtures/records.rs"]
mod records;
mod report;
mod retention;
mod retention_commands;
mod rewrite;
mod sealed;
#[path = "../shim/mod.rs"]
mod shim;
mod signing_key;
