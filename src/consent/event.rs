//! What can happen between a legal entity and a recipient: the events of the ledger.

use std::fmt;

use crate::policy::{ConsentClass, Promise, Review};
use crate::registry::Msisdn;

/// Entities that one ledger knows at most: 14 bits of the pair's key. Names are never forgotten.
pub const ENTITIES_MAX: usize = 1 << 14;

/// Named scopes that one ledger knows at most, beside [`Scope::ALL`].
pub const SCOPES_MAX: usize = 255;

/// A legal entity, by its place in the ledger's list of names. Durable, and never given to another
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntityId(pub(super) u16);

impl EntityId {
    /// The entity of that number; `None` from [`ENTITIES_MAX`] on.
    pub fn new(number: u16) -> Option<Self> {
        (usize::from(number) < ENTITIES_MAX).then_some(Self(number))
    }
}

/// What a consent extends to within its entity: a list, a product, a shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(pub(super) u8);

impl Scope {
    /// The whole entity: a grant for it covers every scope. A question that cannot name its scope
    /// asks for this, and only a grant for the whole entity answers it.
    pub const ALL: Self = Self(0);
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The legal entity.
    pub entity: EntityId,
    /// The recipient.
    pub recipient: Msisdn,
    /// When it happened, microseconds since the Unix epoch.
    pub time_us: u64,
    /// Where it is known from.
    pub source: Source,
    /// What happened.
    pub happened: Happened,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// The recipient consented.
    Granted(Grant),
    /// The recipient refused, or the number has a new owner.
    Revoked(Cause),
    /// The proof of the pair's grant of this scope was looked at. A digest, when it is there, must
    /// be that of the grant's proof.
    Reviewed {
        /// Which grant is meant.
        scope: Scope,
        /// SHA-256 of the proof that was looked at.
        sha256: Option<[u8; 32]>,
        /// What was found.
        review: Review,
    },
    /// The recipient was asked for consent. `content` tells similar requests from others.
    Asked {
        /// A digest of the request's normal form; not 0.
        content: u32,
    },
    /// A message went on under a promised frequency: counted, not kept in the history.
    Sent {
        /// Which grant it went on under.
        scope: Scope,
    },
}

impl Happened {
    /// The scope that it is about; [`Scope::ALL`] where it binds the entity.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Granted(Grant { scope, .. })
            | Self::Reviewed { scope, .. }
            | Self::Sent { scope } => *scope,
            Self::Revoked(_) | Self::Asked { .. } => Scope::ALL,
        }
    }

    /// Its place among [`super::EVENT_KINDS`].
    pub(super) fn kind(&self) -> usize {
        match self {
            Happened::Granted(_) => 0,
            Happened::Revoked(_) => 1,
            Happened::Reviewed { .. } => 2,
            Happened::Asked { .. } => 3,
            Happened::Sent { .. } => 4,
        }
    }
}

/// The terms of a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it extends to.
    pub scope: Scope,
    /// For what kind of messages.
    pub class: ConsentClass,
    /// The first moment at which it no longer holds, microseconds since the Unix epoch; `None` = it
    /// has no end.
    pub until_us: Option<u64>,
    /// How often was promised at most.
    pub promise: Option<Promise>,
    /// What proves it.
    pub proof: Proof,
}

/// What proves a consent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// What it is.
    pub kind: ProofKind,
    /// SHA-256 of the document or record.
    pub sha256: [u8; 32],
    /// How far it has been reviewed.
    pub review: Review,
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proof({:?}, {:?})", self.kind, self.review)
    }
}

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:literal $label:literal)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$value_doc])* $value = $code,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value,)*];

            /// Its name in files and listings: stable.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$value => $label,)* }
            }

            /// The one of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }

            /// Its number in the store: stable.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The one of that number.
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.code() == code)
            }
        }
    )*};
}

named! {
    /// What kind of thing proves a consent.
    ProofKind {
        /// The sender's commitment that consent is there (Order 74's 承诺).
        Commitment = 1 "commitment"
        /// A signed paper.
        Paper = 2 "paper"
        /// A form on the web or in an app, with its log.
        Web = 3 "web"
        /// A message from the handset.
        Message = 4 "message"
        /// A recorded call.
        Call = 5 "call"
        /// Anything else.
        Other = 6 "other"
    }
    /// Where an event is known from.
    Source {
        /// A reply of the handset that crossed the proxy.
        Reply = 1 "reply"
        /// A message that crossed the proxy.
        Message = 2 "message"
        /// An operator at the command line.
        Operator = 3 "operator"
        /// The admin API.
        Api = 4 "api"
        /// A file that was imported: times are what the file states.
        File = 5 "file"
        /// A stream: messages of somebody else's, each with an id.
        Stream = 6 "stream"
        /// A consent in an imported file that does not state when it was given: its time is that of the
        /// import.
        Undated = 7 "undated"
    }
    /// Why a consent was revoked.
    Cause {
        /// The recipient refused.
        Refused = 1 "refused"
        /// The number was given to somebody else (二次放号).
        Recycled = 2 "recycled"
        /// A complaint, such as through the 12321 centre.
        Complaint = 3 "complaint"
        /// The operator or the entity ended it.
        Operator = 4 "operator"
    }
}

/// What is asked of the ledger for one message to one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The legal entity that the message is from.
    pub entity: EntityId,
    /// Whom it is for.
    pub recipient: Msisdn,
    /// The scope that the message is in; [`Scope::ALL`] when nobody says.
    pub scope: Scope,
}

/// An event with its place in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number: the ledger's order, from 1.
    pub sequence: u64,
    /// When the ledger took it, by its own clock: microseconds since the Unix epoch.
    pub recorded_us: u64,
    /// What happened, and when that was.
    pub event: Event,
}

/// Why an event is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    /// Consent that is not later than the refusal it would lift.
    #[error(
        "time: consent counts only if it is later than the revocation, or rejection, before it"
    )]
    NotLater,
    /// The same, of a file that does not say when the consent was given.
    #[error(
        "time: is missing, and the recipient has refused, or the proof was rejected, before: write when \
         consent was given"
    )]
    Undated,
    /// Its time is more than five minutes ahead.
    #[error("time: is in the future")]
    Future,
    /// Its times cannot be kept.
    #[error("time: is after the year 2105")]
    Time,
    /// A grant that ends before it begins.
    #[error("until: is not after time")]
    EndsBefore,
    /// There is no grant of that scope that could be reviewed or counted.
    #[error("scope: the pair has no grant of this scope that could be reviewed")]
    NoGrant,
    /// The digest is not that of the grant's proof.
    #[error("proof_sha256: is not the digest of this grant's proof")]
    OtherProof,
    /// Too many scopes.
    #[error(
        "scope: the pair has grants of 8 scopes already; revoke, or grant for the whole entity"
    )]
    GrantsMax,
    /// A claim to ask who was asked, or has refused; only where nodes share a ledger.
    #[error("asked: the recipient was asked already, or has refused; once is all")]
    AskedAgain,
    /// A claim to send more than was promised; only where nodes share a ledger.
    #[error("sent: as many messages as were promised have gone in this period")]
    UsedUp,
    /// The engine of a shared ledger does not answer: only revocations are taken meanwhile.
    #[error("the consent engine does not answer: grants wait until it does; tell it again")]
    EngineDown,
}
