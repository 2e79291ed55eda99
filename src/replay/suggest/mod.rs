//! A registry to start from, written from what was seen in a trace.
//!
//! | file | subject |
//! |---|---|
//! | `learn` | who bound from where, sent from which numbers, with which signatures and what sort of text |
//! | `group` | which system_ids are one provider, which numbers one code with its extensions |
//! | `page` | the registry.toml, with its evidence as comments |

mod group;
mod learn;
mod page;

pub use learn::{Learned, SIGNATURES_SHOWN, SOURCES_A_SYSTEM_ID_MAX, SYSTEM_IDS_MAX};
