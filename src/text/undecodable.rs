//! Why octets are not text. Each cause has a name that records and explanations use.

/// Why octets are not text in their alphabet, or not a text that may be trusted to be what the
/// handset shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecodable {
    /// The user data header's lengths do not agree with the octets that are there.
    #[error("the user data header does not fit its own lengths")]
    Header,
    /// An octet that has no character. The octet's place counts from the text's beginning.
    #[error("octet {0} has no character in {1}")]
    Octet(usize, &'static str),
    /// UCS2 text of an odd number of octets.
    #[error("UCS2 text of an odd number of octets")]
    OddLength,
    /// Half of a surrogate pair without the other, by its octet.
    #[error("a lone surrogate at octet {0}")]
    LoneSurrogate(usize),
    /// UCS2 text whose byte order mark or characters say that it is little endian.
    #[error("UCS2 text that reads only in little endian order")]
    LittleEndian,
    /// GSM 7 bit text that reads only in the packing that the route does not have.
    #[error("GSM 7 bit text that reads only {0}")]
    Packing(&'static str),
    /// A national language table, by its identifier, that no specification has published.
    #[error("national language {0} has no such shift table")]
    Language(u8),
    /// More than one header element of the same kind, or one of the wrong length, names a table.
    #[error("the header names its shift tables more than once or malformed")]
    ShiftTables,
    /// Eight-bit data that does not read as text.
    #[error("eight-bit data")]
    Binary,
    /// Eight-bit data that reads as text in the alphabet named: some handsets show it.
    #[error("eight-bit data that reads as {0} text")]
    BinaryText(&'static str),
    /// Text that invisible characters turn: it is not shown in the order in which it is written.
    #[error("invisible characters show the text in another order than it is written in")]
    Turned,
    /// A character set that is not decoded here.
    #[error("{0} is not decoded")]
    CharacterSet(&'static str),
    /// Compressed text (TS 23.042): unreadable to anybody on the way.
    #[error("compressed text")]
    Compressed,
    /// A data_coding that the specifications reserve.
    #[error("a reserved data_coding")]
    Reserved,
}

impl Undecodable {
    /// The cause's stable name.
    pub fn name(self) -> &'static str {
        match self {
            Undecodable::Header => "header",
            Undecodable::Octet(..) => "octet",
            Undecodable::OddLength => "odd_length",
            Undecodable::LoneSurrogate(_) => "lone_surrogate",
            Undecodable::LittleEndian => "little_endian",
            Undecodable::Packing(_) => "packing",
            Undecodable::Language(_) => "language",
            Undecodable::ShiftTables => "shift_tables",
            Undecodable::Binary => "binary",
            Undecodable::BinaryText(_) => "binary_text",
            Undecodable::Turned => "turned",
            Undecodable::CharacterSet(_) => "character_set",
            Undecodable::Compressed => "compressed",
            Undecodable::Reserved => "reserved",
        }
    }
}
