//! What a record is: the number that it carries, and its name.

use super::format::{KIND_LINK, KIND_RULES};

/// What a record is. The numbers are stable for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// Covers the group before it.
    Link = KIND_LINK,
    /// The journal was opened.
    Start = 2,
    /// The journal was closed in good order.
    Stop = 3,
    /// Other rules or another registry are in force.
    Rules = KIND_RULES,
    /// A bind was judged.
    Bind = 5,
    /// A message was judged.
    Verdict = 6,
    /// The SMSC answered a message that went on.
    Response = 7,
    /// The SMSC did not answer a message that went on.
    Unanswered = 8,
    /// A session ended.
    End = 9,
    /// A handset answered a code with a word that ends or gives consent.
    Reply = 10,
    /// The SMSC told what became of a message.
    Receipt = 11,
    /// The consent ledger was told something by an operator.
    Consent = 12,
    /// The notary signed what a segment was.
    Checkpoint = 13,
    /// A segment is purged.
    Purge = 14,
    /// A legal hold was set or lifted.
    Hold = 15,
    /// The keys of a segment, or that keys were destroyed.
    Keys = 16,
    /// Somebody looked at records.
    Access = 18,
    /// Rules or registry are others than when the journal was open last.
    Registry = 19,
    /// What a message says.
    Content = 17,
    /// The SMSC did not take a destination of a submit_multi.
    Unsuccess = 20,
}

impl Kind {
    /// The kind with this number, if this program knows it.
    pub fn from_code(code: u8) -> Option<Kind> {
        Some(match code {
            1 => Kind::Link,
            2 => Kind::Start,
            3 => Kind::Stop,
            4 => Kind::Rules,
            5 => Kind::Bind,
            6 => Kind::Verdict,
            7 => Kind::Response,
            8 => Kind::Unanswered,
            9 => Kind::End,
            10 => Kind::Reply,
            11 => Kind::Receipt,
            12 => Kind::Consent,
            13 => Kind::Checkpoint,
            14 => Kind::Purge,
            15 => Kind::Hold,
            16 => Kind::Keys,
            18 => Kind::Access,
            19 => Kind::Registry,
            17 => Kind::Content,
            20 => Kind::Unsuccess,
            _ => return None,
        })
    }

    /// The name in listings, lower case.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Link => "link",
            Kind::Start => "start",
            Kind::Stop => "stop",
            Kind::Rules => "rules",
            Kind::Bind => "bind",
            Kind::Verdict => "verdict",
            Kind::Response => "response",
            Kind::Unanswered => "unanswered",
            Kind::End => "end",
            Kind::Reply => "reply",
            Kind::Checkpoint => "checkpoint",
            Kind::Purge => "purge",
            Kind::Hold => "hold",
            Kind::Keys => "keys",
            Kind::Content => "content",
            Kind::Receipt => "receipt",
            Kind::Consent => "consent",
            Kind::Access => "access",
            Kind::Registry => "registry",
            Kind::Unsuccess => "unsuccess",
        }
    }
}
