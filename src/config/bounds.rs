//! Every number that the file may set: what it is when unwritten, and how far it may go.

use std::time::Duration;

/// A setting's value when unwritten, and the least and the most that may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds<T> {
    /// Taken when the key is not written.
    pub default: T,
    /// The least.
    pub min: T,
    /// The most.
    pub max: T,
}

const fn millis(default: u64, min: u64, max: u64) -> Bounds<Duration> {
    Bounds {
        default: Duration::from_millis(default),
        min: Duration::from_millis(min),
        max: Duration::from_millis(max),
    }
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// `[limits] threads`: threads that carry traffic. The default is
/// never taken: unwritten means one for each core.
pub const THREADS: Bounds<usize> = Bounds { default: 1, min: 1, max: 256 };
/// `[limits] sessions`: ESME connections at once.
pub const SESSIONS: Bounds<usize> = Bounds { default: 12_000, min: 1, max: 1_000_000 };
/// `[limits] sessions_per_address`: ESME connections at once from one IP address. Generous, because
/// a provider's many binds may come through one address translator.
pub const SESSIONS_PER_ADDRESS: Bounds<usize> = Bounds { default: 1_000, min: 1, max: 1_000_000 };
/// `[limits] sessions_per_provider`: sessions at once of one provider. The default is never taken: unwritten
/// means as many as `sessions`.
pub const SESSIONS_PER_PROVIDER: Bounds<usize> =
    Bounds { default: 1_000_000, min: 1, max: 1_000_000 };
/// `[limits] bind_failures`: failed binds from one address that cost it nothing; 0 for no limit.
pub const BIND_FAILURES: Bounds<usize> = Bounds { default: 20, min: 0, max: 1_000_000 };
/// `[limits] pdu`: the longest command_length, octets. The least still carries a submit_sm with 254
/// octets of short_message and optional parameters.
pub const PDU_OCTETS: Bounds<usize> = Bounds {
    default: crate::smpp::frame::PDU_OCTETS_MAX,
    min: KIB,
    max: crate::smpp::frame::PDU_OCTETS_LIMIT,
};
/// `[limits] session_buffer`: octets that wait in one session, each direction.
pub const SESSION_BUFFER_OCTETS: Bounds<usize> =
    Bounds { default: 256 * KIB, min: 4 * KIB, max: 64 * MIB };
/// `[limits] buffered`: octets that wait in all sessions together.
pub const BUFFERED_OCTETS: Bounds<usize> = Bounds { default: 512 * MIB, min: MIB, max: 64 * GIB };
/// `[limits] window`: requests of one session that wait for their response.
pub const WINDOW: Bounds<usize> = Bounds { default: 4_096, min: 1, max: 65_536 };

/// `[limits] originals`: messages that are known by the SMSC's message_id, for replace_sm, cancel_sm and
/// query_sm. Each takes some 250 octets of memory.
pub const ORIGINALS: Bounds<usize> = Bounds { default: 100_000, min: 0, max: 5_000_000 };

/// `[timeouts] bind`: from the connection to a bind that succeeded.
pub const BIND: Bounds<Duration> = millis(30 * SECOND, SECOND, 10 * MINUTE);
/// `[timeouts] connect`: for one SMSC to take a connection and, where there is another, to answer the bind.
pub const CONNECT: Bounds<Duration> = millis(5 * SECOND, 100, 2 * MINUTE);
/// `[timeouts] ejection`: for which an SMSC that fails gets no binds the first time.
pub const EJECTION: Bounds<Duration> = millis(10 * SECOND, 100, 10 * MINUTE);
/// `[timeouts] handshake`: for a PROXY protocol header, and for TLS to begin on either leg.
pub const HANDSHAKE: Bounds<Duration> = millis(10 * SECOND, 100, 2 * MINUTE);
/// `[timeouts] idle`: without a PDU either way. Long, because peers send enquire_link only every few
/// minutes.
pub const IDLE: Bounds<Duration> = millis(10 * MINUTE, 10 * SECOND, 24 * HOUR);
/// `[timeouts] response`: a request's wait before it counts as unanswered.
pub const RESPONSE: Bounds<Duration> = millis(MINUTE, SECOND, HOUR);
/// `[timeouts] write`: a peer that takes nothing of what waits for it.
pub const WRITE: Bounds<Duration> = millis(30 * SECOND, SECOND, 10 * MINUTE);
/// `[timeouts] keepalive`: silence before TCP probes the peer.
pub const KEEPALIVE: Bounds<Duration> = millis(MINUTE, SECOND, 2 * HOUR);
/// `[timeouts] user_timeout`: octets sent and not acknowledged by the peer's TCP (RFC 5482).
pub const USER_TIMEOUT: Bounds<Duration> = millis(MINUTE, SECOND, HOUR);
/// `[timeouts] drain`: for open requests to be answered after SIGTERM.
pub const DRAIN: Bounds<Duration> = millis(30 * SECOND, 0, HOUR);
/// `[timeouts] close`: for a last PDU to be taken before the connection is cut.
pub const CLOSE: Bounds<Duration> = millis(2 * SECOND, 100, MINUTE);

/// `[long_messages] deadline`: parts wait for the others. Within what most ESMEs wait for a response.
pub const PARTS_DEADLINE: Bounds<Duration> = millis(MINUTE, 100, 5 * MINUTE);
/// `[long_messages] silence`: a sender says nothing while a part of it waits.
pub const PARTS_SILENCE: Bounds<Duration> = millis(2 * SECOND, 10, 5 * MINUTE);
/// `[long_messages] parts`: of one message.
pub const PARTS: Bounds<usize> = Bounds { default: 16, min: 2, max: 255 };
/// `[long_messages] messages`: of one provider at a time.
pub const PARTS_MESSAGES: Bounds<usize> = Bounds { default: 20_000, min: 1, max: 1_000_000 };
/// `[long_messages] octets`: of the parts of one provider.
pub const PARTS_OCTETS: Bounds<usize> = Bounds { default: 10 * MIB, min: 64 * KIB, max: GIB };

/// `[consent] cache`: octets of memory for standings. The default holds some twelve million pairs.
pub const CACHE_OCTETS: Bounds<usize> = Bounds { default: 384 * MIB, min: 8 * MIB, max: 64 * GIB };
/// `[consent] silent_after`: a request's wait before silence counts as refusal (Order 31 art. 18
/// names no time).
pub const SILENT_AFTER: Bounds<Duration> = millis(7 * 24 * HOUR, SECOND, 365 * 24 * HOUR);
/// `[consent] schedule_max`: how far ahead a message that needs consent may be scheduled.
pub const SCHEDULE_MAX: Bounds<Duration> = millis(HOUR, 0, 30 * 24 * HOUR);
/// `[consent] validity_max`: how long such a message may wait to be delivered.
pub const VALIDITY_MAX: Bounds<Duration> = millis(24 * HOUR, MINUTE, 30 * 24 * HOUR);
/// `[consent] staleness`: how long standings count after the database was heard of last.
pub const STALENESS: Bounds<Duration> = millis(10 * SECOND, 500, 10 * MINUTE);
/// `[consent] deadline`: how long a message waits for what only the database knows.
pub const DEADLINE: Bounds<Duration> = millis(100, 5, 10 * SECOND);
/// `[cluster] node`, `[[mirror]] node`: octets.
pub const NODE_NAME_MAX: usize = 200;
/// `[cluster] nodes`.
pub const NODES: Bounds<usize> = Bounds { default: 1, min: 1, max: 256 };

/// `[audit] keep_months`: calendar months.
pub const KEEP_MONTHS: Bounds<usize> = Bounds { default: 6, min: 1, max: 120 };
/// `[audit] checkpoint` records: recorded since the last one.
pub const CHECKPOINT_RECORDS: Bounds<usize> =
    Bounds { default: 100_000, min: 1_000, max: 10_000_000 };
/// `[audit] checkpoint` every: since the last one, if anything was recorded.
pub const CHECKPOINT_EVERY: Bounds<Duration> = millis(10 * SECOND, SECOND, HOUR);
/// `[audit] auditors`: public keys that content is encrypted for.
pub const AUDITORS_MAX: usize = 16;

/// `[audit] segment`: octets of one journal file.
pub const SEGMENT_OCTETS: Bounds<usize> = Bounds { default: 64 * MIB, min: MIB, max: 4 * GIB };

/// `[audit] disk_budget`: octets of the journal's folder. Without it there is no limit but the disk's.
pub const DISK_BUDGET_OCTETS: Bounds<usize> =
    Bounds { default: 1 << 50, min: 2 * MIB, max: 1 << 50 };

/// `[[mirror]]`: how many.
pub const MIRRORS_MAX: usize = 16;
/// `[[mirror]] name`, and each part of `table`: letters.
pub const MIRROR_NAME_MAX: usize = 40;
/// `[[mirror]] topic`: octets.
pub const MIRROR_TEXT_MAX: usize = 200;
/// `[[mirror]] batch`: rows of one delivery.
pub const MIRROR_BATCH: Bounds<usize> = Bounds { default: 5_000, min: 1, max: 100_000 };
/// `[[mirror]] wait`: how long records wait for more of them.
pub const MIRROR_WAIT: Bounds<Duration> = millis(SECOND, 10, HOUR);
/// `[[stream]]`: how many.
pub const STREAMS_MAX: usize = 16;
/// `[[stream]] batch`: messages taken or delivered at once.
pub const STREAM_BATCH: Bounds<usize> = Bounds { default: 500, min: 1, max: 5_000 };
/// `[[stream]] wait`: how long messages wait for more of them.
pub const STREAM_WAIT: Bounds<Duration> = millis(100, 10, MINUTE);
/// `[[mirror]] file_size`: octets of one file.
pub const MIRROR_FILE_OCTETS: Bounds<usize> =
    Bounds { default: 64 * MIB, min: 4 * KIB, max: 16 * GIB };
/// `[[mirror]] file_age`: how long one file is written.
pub const MIRROR_FILE_AGE: Bounds<Duration> = millis(HOUR, SECOND, 24 * HOUR);

/// `[capture] file_size`: octets of one file. Its least is far above the longest packet.
pub const CAPTURE_FILE_OCTETS: Bounds<usize> = Bounds { default: 16 * MIB, min: MIB, max: GIB };
/// `[capture] files`: files in the folder.
pub const CAPTURE_FILES: Bounds<usize> = Bounds { default: 8, min: 1, max: 1_000 };
/// `[capture]` providers, sources: names of one list.
pub const CAPTURE_NAMES_MAX: usize = 64;

/// `[reload] watch`: how often files are looked at. The default is never taken: unwritten means not at all.
pub const RELOAD_WATCH: Bounds<Duration> = millis(5 * SECOND, 100, 24 * HOUR);

/// `[content] prohibited`: lists.
pub const LISTS_MAX: usize = 64;
/// Listening addresses, `[[listen]]` or `[[outbind]]` each.
pub const LISTEN_MAX: usize = 64;
/// Networks in one list of a `[[listen]]`.
pub const NETWORKS_MAX: usize = 256;
/// Peers of one listening address.
pub const PEERS_MAX: usize = 16;
/// `[[listen]] smsc` weight: of the new binds.
pub const WEIGHT: Bounds<usize> = Bounds { default: 1, min: 1, max: 1_000 };
/// `[[listen]] enquire_link`: silence on an SMSC's connection. The default is never taken: unwritten means that
/// none is sent.
pub const ENQUIRE_LINK: Bounds<Duration> = millis(30 * SECOND, SECOND, HOUR);
/// The longest `consentry.toml`, octets.
pub const CONFIG_OCTETS_MAX: usize = MIB;
