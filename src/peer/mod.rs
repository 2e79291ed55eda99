//! A small ESME and a small SMSC, for demo, load and tests. They speak the specification and share
//! none of the proxy's judgement, so that agreeing with it means something.
//!
//! | file | subject |
//! |---|---|
//! | [`inbox`] | octets from a socket, cut into PDUs |
//! | [`esme`] | an ESME that says exactly what a test tells it to |
//! | [`smsc`] | an SMSC that answers every request, with faults to switch on |
//! | [`load`] | an open-loop and closed-loop load generator |
//! | [`play`] | the ESMEs' side of captured streams, played and compared |
//! | [`histogram`] | latencies at three significant digits in fixed space |
//! | [`cpu`] | how much CPU time another process has used |

pub mod cpu;
pub mod esme;
pub mod histogram;
pub mod inbox;
pub mod load;
pub mod play;
pub mod smsc;
