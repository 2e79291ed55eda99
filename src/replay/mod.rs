//! Captured traffic, judged as the proxy would have judged it: what a rule does, before it does it.
//! No socket and no clock: time is in the trace.
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
//! | `judge` | PDUs to verdicts, by the session and the rules of the link |
//! | `verdict` | what a verdict's record says |
//! | `summary` | verdicts counted |
//! | `course` | verdicts over time |
//! | `seen` | what the capture shows of the SMSC |
//! | `report` | a page to look at |
//! | `suggest` | a registry written from what was seen |

pub mod capture;
mod course;
pub mod fault;
pub mod happening;
mod judge;
mod octets;
pub mod packet;
mod report;
mod seen;
pub mod skipped;
mod spot;
pub mod stream;
mod suggest;
mod summary;
pub mod traces;
mod verdict;

pub use course::{Course, SPANS_MAX, Span};
pub use fault::{Fault, FaultKind};
pub use happening::{Ending, GapCause, Happening, Opened};
pub use judge::{Judge, Judged, Noticed, Stream, Way};
pub use report::{ROWS_MAX, Report};
pub use seen::{LATENCIES_US, Seen};
pub use skipped::Skipped;
pub use suggest::{Learned, SIGNATURES_SHOWN, SOURCES_A_SYSTEM_ID_MAX, SYSTEM_IDS_MAX};
pub use summary::{Counts, HOURS_MAX, RuleKey, SOURCES_MAX, Source, Summary};
pub use traces::{Trace, Traces};
pub use verdict::{Decided, Verdict, class};
