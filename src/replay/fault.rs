//! Why a trace cannot be read on: which one, where, and the way out.

use std::io;

/// A trace that cannot be read on. What stood before the place was read and is as true as ever.
#[derive(Debug, thiserror::Error)]
#[error("{trace}: octet {offset}: {what}")]
pub struct Fault {
    /// The trace, as the caller named it.
    pub trace: String,
    /// Where the part begins that is wrong, octets from the start; of a compressed trace, from the
    /// start of what it decompresses to.
    pub offset: u64,
    /// What is wrong.
    pub what: FaultKind,
}

/// What is wrong with a trace.
#[derive(Debug, thiserror::Error)]
pub enum FaultKind {
    /// It could not be opened or read, or does not decompress.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// Not an octet in it.
    #[error("the trace is empty; was the capture ever started?")]
    Empty,
    /// No magic number that we know.
    #[error(
        "begins with {0:08x}, which is neither pcap, pcapng, gzip nor zstd; convert it with editcap -F pcapng"
    )]
    Format(u32),
    /// It ends within something.
    #[error("ends within {0}: the trace was cut short, or is still being written")]
    CutShort(&'static str),
    /// A packet that says it is longer than any may be.
    #[error(
        "a packet of {0} octets is announced, more than any capture holds: the trace is damaged"
    )]
    PacketTooLong(u32),
    /// A block that is shorter than what it has to hold.
    #[error("a {block} of {octets} octets cannot hold what it has to: the trace is damaged")]
    BlockTooShort {
        /// Which block.
        block: &'static str,
        /// The length that it gives.
        octets: u32,
    },
    /// A pcapng block whose two lengths differ.
    #[error(
        "a block says at its start that it is {first} octets long and {last} at its end: the trace is damaged"
    )]
    BlockLengths {
        /// The length at its start.
        first: u32,
        /// The length at its end.
        last: u32,
    },
    /// A pcapng section whose octet order cannot be told.
    #[error("a section begins with byte-order magic {0:08x}: the trace is damaged")]
    ByteOrder(u32),
    /// A packet of an interface that nothing describes.
    #[error(
        "a packet names interface {0}, which the section does not describe: the trace is damaged"
    )]
    Interface(u32),
    /// More interfaces than anyone has.
    #[error("a section describes more than {0} interfaces: the trace is damaged")]
    Interfaces(usize),
}
