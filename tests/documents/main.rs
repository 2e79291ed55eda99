//! The documents name only what there is. Those that describe the program's own keys, rules and commands
//! are written by these tests: `BLESS=1 cargo test --test documents`.

mod alerts;
mod columns;
mod commands;
mod generated;
mod keys;
mod links;
mod rules;
mod seeing;
mod template;
mod traps;
