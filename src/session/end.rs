//! Why a session ended.

/// Why a session ended: the cause that came first. The code stands in its `end` record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EndReason {
    /// Both sides unbound and went.
    Unbound = 1,
    /// The ESME closed or lost its connection.
    EsmeClosed = 2,
    /// The SMSC closed or lost its connection.
    SmscClosed = 3,
    /// No bind within the bind deadline.
    BindTimeout = 4,
    /// Nothing from the ESME within the idle time.
    Idle = 5,
    /// The SMSC answered nothing within the response time while requests were open.
    SmscSilent = 6,
    /// A peer took nothing within the write time.
    PeerStuck = 7,
    /// Octets from the ESME that cannot be cut into PDUs.
    EsmeFraming = 8,
    /// Octets from the SMSC that cannot be cut into PDUs.
    SmscFraming = 9,
    /// Another protocol on the port.
    Foreign = 10,
    /// The bind was refused, by us.
    BindRefused = 11,
    /// No SMSC of the list could be reached.
    SmscUnreachable = 12,
    /// The proxy was shut down.
    Drained = 13,
    /// Refused requests and no bind.
    NeverBound = 14,
}

impl EndReason {
    /// All of them.
    pub const ALL: [EndReason; 14] = [
        EndReason::Unbound,
        EndReason::EsmeClosed,
        EndReason::SmscClosed,
        EndReason::BindTimeout,
        EndReason::Idle,
        EndReason::SmscSilent,
        EndReason::PeerStuck,
        EndReason::EsmeFraming,
        EndReason::SmscFraming,
        EndReason::Foreign,
        EndReason::BindRefused,
        EndReason::SmscUnreachable,
        EndReason::Drained,
        EndReason::NeverBound,
    ];

    /// The word that logs, metrics and listings use.
    pub fn name(self) -> &'static str {
        match self {
            EndReason::Unbound => "unbound",
            EndReason::EsmeClosed => "esme_closed",
            EndReason::SmscClosed => "smsc_closed",
            EndReason::BindTimeout => "bind_timeout",
            EndReason::Idle => "idle",
            EndReason::SmscSilent => "smsc_silent",
            EndReason::PeerStuck => "peer_stuck",
            EndReason::EsmeFraming => "esme_framing",
            EndReason::SmscFraming => "smsc_framing",
            EndReason::Foreign => "foreign_protocol",
            EndReason::BindRefused => "bind_refused",
            EndReason::SmscUnreachable => "smsc_unreachable",
            EndReason::Drained => "drained",
            EndReason::NeverBound => "never_bound",
        }
    }

    /// The reason of a record's code.
    pub fn from_code(code: u8) -> Option<EndReason> {
        EndReason::ALL.into_iter().find(|reason| *reason as u8 == code)
    }
}
