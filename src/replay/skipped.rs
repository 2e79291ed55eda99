//! What of a trace was not read, by reasons that are closed.

/// Counts of what was seen and of what of it could not be read. Nothing is guessed: what is not
/// counted here was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Packets in the trace, of any kind.
    pub packets: u64,
    /// Packets whose link layer is not one of ours.
    pub packets_of_other_links: u64,
    /// Packets that are not TCP over IP.
    pub packets_not_tcp: u64,
    /// Fragments of IP packets. TCP in them is octets in gaps.
    pub fragments: u64,
    /// Packets that end within a header or contradict themselves.
    pub packets_malformed: u64,
    /// Segments whose checksum is wrong, IPv4's or TCP's. They are read all the same: where packets
    /// are captured before the network card fills checksums in, they are wrong and the data is not.
    pub checksums_wrong: u64,
    /// TCP streams, of any kind.
    pub streams: u64,
    /// Streams in which not an octet of data was captured.
    pub streams_without_data: u64,
    /// Streams that are not SMPP, or of which too little was captured to tell.
    pub streams_not_smpp: u64,
    /// SMPP streams whose ESME had begun to speak before the capture did.
    pub streams_without_start: u64,
    /// SMPP streams in which nothing said who is the ESME: whoever connected is taken for it, or
    /// whoever has the higher port.
    pub streams_of_supposed_sides: u64,
    /// Streams forgotten for want of room while they may have gone on.
    pub streams_forgotten: u64,
    /// Octets of SMPP streams that came again. The first stand.
    pub octets_repeated: u64,
    /// Octets that came again before their turn and were others than the first time. What was let
    /// go of is not kept to be compared.
    pub octets_in_conflict: u64,
    /// Octets of SMPP streams that were not captured.
    pub octets_in_gaps: u64,
    /// Octets of SMPP streams that were captured and are in no PDU that was read.
    pub octets_skipped: u64,
    /// PDUs of which only a part was captured.
    pub pdus_cut: u64,
}

/// What is counted of one stream before it is known to be SMPP.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) octets_repeated: u64,
    pub(super) octets_in_conflict: u64,
    pub(super) octets_in_gaps: u64,
    pub(super) octets_skipped: u64,
    pub(super) pdus_cut: u64,
}

impl Skipped {
    /// Moves a stream's own counts here.
    pub(super) fn add(&mut self, tally: &mut Tally) {
        self.octets_repeated += tally.octets_repeated;
        self.octets_in_conflict += tally.octets_in_conflict;
        self.octets_in_gaps += tally.octets_in_gaps;
        self.octets_skipped += tally.octets_skipped;
        self.pdus_cut += tally.pdus_cut;
        *tally = Tally::default();
    }
}
