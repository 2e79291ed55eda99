//! Capture files to what was said in SMPP in them. No socket and no clock: time is in the file.
//!
//! | file | subject |
//! |---|---|
//! | [`capture`] | pcap and pcapng, plain or compressed, to packets |
//! | [`packet`] | packets to TCP segments |
//! | [`stream`] | TCP segments to PDUs |
//! | `spot` | SMPP told by what it says |
//! | [`happening`] | what a trace says happened |
//! | [`traces`] | traces to happenings |
//! | [`skipped`] | what could not be read |
//! | [`fault`] | why a trace cannot be read on |

pub mod capture;
pub mod fault;
pub mod happening;
mod octets;
pub mod packet;
pub mod skipped;
mod spot;
pub mod stream;
pub mod traces;

pub use fault::{Fault, FaultKind};
pub use happening::{Ending, GapCause, Happening, Opened};
pub use skipped::Skipped;
pub use traces::{Trace, Traces};
