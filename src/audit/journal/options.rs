//! What a journal is opened with.

use std::fmt;
use std::time::Duration;

use super::super::format::GROUP_OCTETS_MAX;
use super::super::proof::NotaryOptions;
use super::super::sealed::Sealing;

/// Octets of records that wait for the file; more are refused with [`crate::audit::Unavailable::Backlog`].
pub const PENDING_OCTETS_MAX: usize = 64 << 20;
/// Octets after which a segment is followed by the next.
const SEGMENT_OCTETS: u64 = 64 << 20;
/// How long after a failure writing is tried again.
pub const RETRY: Duration = Duration::from_secs(1);

/// How firmly a record must be kept before its ticket is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Taken into memory: lost with the process. On the disk within 100 ms or 256 KiB.
    Queued,
    /// Given to the operating system: survives the process, not the machine. Synchronised within
    /// a second. What the disk then fails to keep of the last second was acknowledged and is lost.
    Written,
    /// On the disk (fdatasync): survives the machine. Many records share one synchronisation.
    Synced,
}

/// What a journal is opened with.
pub struct Options {
    /// When tickets complete.
    pub durability: Durability,
    /// Octets after which a segment is followed by the next; a group may exceed it. Default 64 MiB.
    pub segment_octets: u64,
    /// Octets that may wait for the file. Default [`PENDING_OCTETS_MAX`].
    pub pending_octets_max: usize,
    /// Octets that the journal's folder may take, all files in it counted; nothing judged is taken
    /// beyond it. Default: no limit but the disk's.
    pub disk_octets_max: Option<u64>,
    /// How long after a failure writing is tried again. Default [`RETRY`].
    pub retry: Duration,
    /// SHA-256 of the configuration in force.
    pub config: [u8; 32],
    /// SHA-256 of rules and registry in force.
    pub rules: [u8; 32],
    /// Name of the rule set.
    pub rule_set: String,
    /// Version of the program.
    pub program: String,
    /// What texts are read with: digest of the weights, versions of the lists.
    pub reading: String,
    /// With what numbers and content are encrypted; none writes all in clear.
    pub sealing: Option<Sealing>,
    /// Called after each synchronisation with the time it took, from the journal's own thread.
    pub on_sync: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    /// Who signs checkpoints. Default: nobody.
    pub notary: Option<NotaryOptions>,
}

impl Options {
    /// The defaults for a durability: empty names, zero digests.
    pub fn new(durability: Durability) -> Options {
        Options {
            durability,
            segment_octets: SEGMENT_OCTETS,
            pending_octets_max: PENDING_OCTETS_MAX,
            disk_octets_max: None,
            retry: RETRY,
            config: [0; 32],
            rules: [0; 32],
            rule_set: String::new(),
            program: String::new(),
            reading: String::new(),
            sealing: None,
            on_sync: None,
            notary: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("durability", &self.durability)
            .field("segment_octets", &self.segment_octets)
            .field("pending_octets_max", &self.pending_octets_max)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(GROUP_OCTETS_MAX < PENDING_OCTETS_MAX);
