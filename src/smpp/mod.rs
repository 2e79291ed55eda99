//! Octets to PDUs: the SMPP specification (3.4 issue 1.2 and 5.0) and nothing else.
//!
//! Everything here borrows: a frame is a slice of the octets that came, a PDU is a view into that
//! slice, and nothing but a narrowed submit_multi, and a message that is stripped of a second sender, is ever re-encoded. A view is checked once, when it is parsed; afterwards
//! its accessors cannot fail.
//!
//! | file | subject |
//! |---|---|
//! | [`command`] | command_id values by name |
//! | [`status`] | command_status values by name |
//! | [`frame`] | where one PDU ends and the next begins |
//! | [`cursor`] | the one checked reader of fields |
//! | [`header`] | the sixteen octets that every PDU begins with |
//! | [`tlv`] | optional parameters |
//! | [`bind`], [`message`], [`operation`], [`response`] | views of the bodies |
//! | [`multi`], [`broadcast`] | views of the bodies with many or no recipients |
//! | [`strict`] | what optional parameters may not be |
//! | [`oddity`] | what a message carries beside a plain text |
//! | [`time`] | schedule_delivery_time and validity_period |
//! | [`narrow`] | a PDU that is rewritten: submit_multi, to fewer recipients |
//! | [`strip`] | another one, where it is configured: a message without its second sender |
//! | [`mod@write`] | the few PDUs that we write ourselves |

pub mod bind;
pub mod broadcast;
pub mod command;
pub mod cursor;
pub mod frame;
pub mod header;
pub mod message;
pub mod multi;
pub mod narrow;
pub mod oddity;
pub mod operation;
pub mod response;
pub mod status;
pub mod strict;
pub mod strip;
pub mod time;
pub mod tlv;
pub mod write;

pub use command::Command;
pub use cursor::Malformed;
pub use header::{HEADER_OCTETS, Header};
pub use status::CommandStatus;
