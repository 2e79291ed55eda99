//! Why a part cannot be joined.

/// Why a part cannot be joined to its message. The first ones are malformed, the last ones beyond a
/// limit: [`PartsFault::is_limit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartsFault {
    /// A concatenation element of another length than its own.
    #[error("a concatenation element has the wrong length")]
    Element,
    /// More than one concatenation element.
    #[error("there is more than one concatenation element")]
    Twice,
    /// Some of the three SAR parameters, or of the wrong length.
    #[error("the SAR parameters are incomplete or have the wrong length")]
    Parameters,
    /// The header and the SAR parameters do not say the same.
    #[error("the header and the SAR parameters disagree")]
    Disagree,
    /// A message of no parts.
    #[error("the message has no parts")]
    Total,
    /// A part 0, or one above the total.
    #[error("the part's number is not one of its message")]
    Number,
    /// Another total or scheme than the message began with.
    #[error("the message began with another total or another way of counting")]
    Changed,
    /// The part came before, with other octets.
    #[error("the part came before with other octets")]
    Conflict,
    /// An address too long to be canonical.
    #[error("an address is too long")]
    Address,
    /// More parts than a message may have.
    #[error("the message has more parts than allowed")]
    Parts,
    /// A longer part than one may be.
    #[error("the part is longer than allowed")]
    Octets,
    /// More messages in the making than may be.
    #[error("too many long messages are incomplete")]
    Messages,
    /// More parts held than may be.
    #[error("too many parts of incomplete messages are held")]
    Held,
}

impl PartsFault {
    /// Whether it is within a well-formed message and beyond a limit.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::Parts | Self::Octets | Self::Messages | Self::Held)
    }
}
