//! What the operator knows of a content provider: its licence, its identity, where it may connect
//! from and which codes are its own.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ipnet::IpNet;

use super::{CertificateName, Digits, Plan, Presented};

/// A content provider: a legal entity with its licence and codes (Order 31 art. 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The legal entity's name, 1 to 256 octets; unique. Consent and opt-out bind it.
    pub name: String,
    /// The system_ids it binds with, each 1 to 15 octets and no other provider's.
    pub system_ids: Vec<String>,
    /// Its telecom licence, if it has one (Order 31 art. 6).
    pub licence: Option<Licence>,
    /// How far its identity has been verified (Order 31 art. 12).
    pub identity: Identity,
    /// Where it may connect from; empty = anywhere.
    pub from: Vec<IpNet>,
    /// Client certificates, one of which its binds need; empty = none is asked for.
    pub certificates: Vec<CertificateName>,
    /// Messages a second, over all its binds; `None` = no limit of its own.
    pub rate: Option<NonZeroU32>,
    /// Whether it is watched for numbers that it counts through (Order 31 art. 16).
    pub sweep: Watch,
    /// Under which tags of the vendors' range its messages name ids, for the record.
    pub vendor_tlv: VendorTlv,
    /// The codes allotted to it (Order 31 art. 13).
    pub codes: Vec<Code>,
    /// The service_types it may use beside none and `CMT`, each 1 to 5 octets.
    pub service_types: Vec<String>,
    /// Alphanumeric senders it may use, as they stand on the wire, each 1 to 11 octets.
    pub alphanumeric: Vec<Vec<u8>>,
}

impl Provider {
    /// Whether it may connect from there. An IPv4 address inside IPv6 counts as IPv4.
    pub fn may_connect_from(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.from.is_empty() || self.from.iter().any(|net| net.contains(&peer))
    }

    /// Whether it may bind after that was shown. What nobody saw is not held against it.
    pub fn may_bind_with(&self, presented: &Presented) -> bool {
        match presented {
            _ if self.certificates.is_empty() => true,
            Presented::Nothing => false,
            Presented::Certificate(one) => self.certificates.iter().any(|name| name.names(one)),
            Presented::Unseen => true,
        }
    }
}

/// A telecom licence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// Its number as printed.
    pub number: String,
    /// The first moment after its last day in Asia/Shanghai: microseconds since the Unix epoch.
    pub valid_until_us: u64,
    /// Whether the authority suspended it.
    pub suspended: bool,
}

impl Licence {
    /// Whether it is in force at `now_us`, microseconds since the Unix epoch.
    pub fn is_in_force(&self, now_us: u64) -> bool {
        !self.suspended && now_us < self.valid_until_us
    }
}

/// How far an identity has been verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Identity {
    /// Verified and registered.
    Verified,
    /// Not verified yet: messages are refused. The default, so that forgetting it is safe.
    #[default]
    Pending,
    /// Verification failed.
    Refused,
}

/// Tags of the vendors' range (SMPP 3.4 5.3.2: 0x1400 to 0x3FFF) under which messages name ids: there is
/// no standard for them. What stands there is put on record and is proof of nothing: who sends is known
/// by the bind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VendorTlv {
    /// Of the legal entity.
    pub entity: Option<u16>,
    /// Of the template.
    pub template: Option<u16>,
    /// Of the recipient's consent.
    pub consent: Option<u16>,
}

/// Whether a provider's recipients are watched for sweeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// They are. The default.
    #[default]
    On,
    /// They are not: whom it writes to are neighbours, as an operator's own customers and a company's own staff.
    Off,
}

/// What a code was approved for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Commercial messages.
    Commercial,
    /// Business management and service.
    Service,
    /// Public interest.
    Public,
    /// Several; each message is judged by its text. The default.
    #[default]
    Mixed,
}

impl Purpose {
    /// Its name in the registry.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Commercial => "commercial",
            Purpose::Service => "service",
            Purpose::Public => "public",
            Purpose::Mixed => "mixed",
        }
    }
}

/// A code as it was allotted (Order 31 art. 13: structure, length, purpose, scope).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Which plan its digits are of.
    pub plan: Plan,
    /// Its digits as allotted, canonical: no `+`, no 86 in the national plan.
    pub number: Digits,
    /// The most digits it may have with its extension: its own length up to 20.
    pub digits_max: u8,
    /// What it was approved for.
    pub purpose: Purpose,
    /// Destinations it may send to, as prefixes of E.164 digits (`86571`); empty = everywhere.
    pub regions: Vec<Digits>,
    /// Signatures registered for it, without their brackets.
    pub signatures: Vec<String>,
    /// Its registered templates.
    pub templates: Vec<Template>,
    /// Whether it may send eight-bit data, which nobody can read: to programs, cards, equipment.
    pub binary: bool,
    /// The templates by which its owner asks for consent.
    pub requests: Vec<Template>,
    /// Which part of a consent its messages fall under: a list, a product, a shop; empty = the whole
    /// entity.
    pub scope: String,
    /// The filing of its public-interest messages (draft of 2014 art. 17); only of a public code.
    pub filing: Option<Filing>,
    /// Whether it is for emergencies, which go at once and are filed afterwards; only of a public code.
    pub emergency: bool,
}

/// A filing of public-interest messages with the authority (draft of 2014 art. 17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filing {
    /// Its number as the authority gave it.
    pub number: String,
    /// The first moment after its last day in Asia/Shanghai: microseconds since the Unix epoch.
    pub valid_until_us: u64,
}

impl Filing {
    /// Whether it is in force at `now_us`, microseconds since the Unix epoch.
    pub fn is_in_force(&self, now_us: u64) -> bool {
        now_us < self.valid_until_us
    }
}

/// Where a registered template is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its path as written: relative to the folder of the registry file.
    pub path: String,
    /// Octet of the registry's text where it is written, for [`value_fault`](super::value_fault).
    pub at: usize,
}
