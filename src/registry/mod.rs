//! Who is admitted: providers, their licences, the codes allotted to them, and the numbering plan.
//!
//! Plain data and look-ups. Text in (`parse`), data out; nothing here reads a file or a clock.
//!
//! - `digits`: numbers as values that mask themselves when printed.
//! - `numbering`: TON, NPI, an address as it stood on the wire, the grammar of the Chinese plan.
//! - `sender`, `recipient`: one canonical form for every spelling, or the fault that forbids it.
//! - `provider`: what the operator knows of each content provider.
//! - `certificate`: the client certificates that a provider binds with.
//! - `lookup`: from a system_id to its provider, from a sender to whom it is allotted.
//! - `file`: the form of `registry.toml`; `fault`: what can be wrong in it; `nearest`: near names.

mod certificate;
mod digits;
mod fault;
mod file;
mod lookup;
mod masked;
mod nearest;
mod numbering;
mod provider;
mod recipient;
mod sender;

pub use certificate::{CertificateName, PeerCertificate, Presented};
pub use digits::{Digits, MSISDN_DIGITS_MAX, Msisdn, NUMBER_DIGITS_MAX};
pub use fault::{Part, RegistryFault};
pub use file::{FileFault, REGISTRY_OCTETS_MAX, RegistryFile, parse, value_fault};
pub use lookup::{
    Allotment, CODES_MAX, CodeId, CodeMatch, PLACES_MAX, PROVIDERS_MAX, PlacesFull, ProviderId,
    Registry, SYSTEM_ID_OCTETS_MAX,
};
pub use masked::masked;
pub use nearest::nearest;
pub use numbering::{Address, Npi, Plan, Ton};
pub use provider::{
    Code, Filing, Identity, Licence, Provider, Purpose, Template, VendorTlv, Watch,
};
pub use recipient::{Recipient, RecipientClass, RecipientFault, recipient};
pub use sender::{ALPHANUMERIC_OCTETS_MAX, Sender, SenderFault, sender};
