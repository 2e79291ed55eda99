//! The consent ledger of one node, and streams of events into it.

mod ledger;
mod stream;
