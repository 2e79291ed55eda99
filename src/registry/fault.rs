//! What can be wrong among providers that are each well formed.

use super::{CODES_MAX, PROVIDERS_MAX, SYSTEM_ID_OCTETS_MAX};

/// Where in a list of providers a fault lies: indexes count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The list as a whole.
    List,
    /// A provider's name.
    Name(usize),
    /// A provider's system_id.
    SystemId(usize, usize),
    /// A provider's alphanumeric sender.
    Alphanumeric(usize, usize),
    /// The number of a provider's code.
    Number(usize, usize),
    /// The digits_max of a provider's code.
    DigitsMax(usize, usize),
}

/// Why providers make no registry. Each says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryFault {
    /// More providers than [`PROVIDERS_MAX`].
    #[error("more than {PROVIDERS_MAX} providers; split the registry over several proxies")]
    ProvidersMax,
    /// More codes than [`CODES_MAX`].
    #[error("more than {CODES_MAX} codes; split the registry over several proxies")]
    CodesMax,
    /// A name is empty or overlong.
    #[error("the name is empty or longer than {NAME_OCTETS_MAX} octets; write the legal entity's")]
    Name(Part),
    /// Two providers of one name: consent would not know which of them it binds.
    #[error("a second provider named `{name}`; put its system_ids and codes under the first")]
    NameTwice {
        /// The second one.
        part: Part,
        /// The name.
        name: String,
    },
    /// A system_id that no bind can carry (SMPP 3.4 5.2.1).
    #[error(
        "a system_id has 1 to {SYSTEM_ID_OCTETS_MAX} octets without NUL; shorten `{system_id}`"
    )]
    SystemId {
        /// Which.
        part: Part,
        /// The system_id.
        system_id: String,
    },
    /// One system_id listed twice.
    #[error("system_id `{system_id}` is already `{owner}`'s; leave it with one provider, once")]
    SystemIdTwice {
        /// The second one.
        part: Part,
        /// The system_id.
        system_id: String,
        /// Who has it.
        owner: String,
    },
    /// A number that can be no code.
    #[error(
        "the number is in a range of the plan that is reserved or belongs to people and machines; write the code as allotted"
    )]
    NumberReserved(Part),
    /// A number that no sender would be brought to.
    #[error(
        "the number is not in canonical form; write 3 to 20 digits without 86, or + and a foreign number"
    )]
    Number(Part),
    /// One code allotted twice.
    #[error("the code is already `{owner}`'s; leave it with one provider, once")]
    NumberTwice {
        /// The second one.
        part: Part,
        /// Who has it.
        owner: String,
    },
    /// digits_max below the code's own length, or above 20.
    #[error("digits_max counts the whole number with its extension; write {digits} to 20")]
    DigitsMax {
        /// Which.
        part: Part,
        /// The code's own length, in digits.
        digits: usize,
    },
    /// Octets that are no alphanumeric sender, or listed twice.
    #[error(
        "an alphanumeric sender has 1 to 11 octets, does not look like a number and is listed once"
    )]
    Alphanumeric(Part),
}

/// The longest name of a provider, in octets.
pub(super) const NAME_OCTETS_MAX: usize = 256;

impl RegistryFault {
    /// Where it lies.
    pub fn part(&self) -> Part {
        match self {
            Self::ProvidersMax | Self::CodesMax => Part::List,
            Self::Name(part)
            | Self::NumberReserved(part)
            | Self::Number(part)
            | Self::Alphanumeric(part)
            | Self::NameTwice { part, .. }
            | Self::SystemId { part, .. }
            | Self::SystemIdTwice { part, .. }
            | Self::NumberTwice { part, .. }
            | Self::DigitsMax { part, .. } => *part,
        }
    }
}
