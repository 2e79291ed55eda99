//! What a route's own conventions say about its texts.

use super::data_coding::DefaultAlphabet;

/// How septets of the GSM 7 bit alphabet stand in octets on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Packing {
    /// One septet an octet, the highest bit zero: what nearly all SMSCs take.
    #[default]
    Unpacked,
    /// Eight septets in seven octets, as on the air (TS 23.038 6.1.2.1), with fill bits behind a
    /// user data header up to the next septet (TS 23.040 9.2.3.24).
    Packed,
}

/// A route's conventions. The specifications leave them to the SMSC, so nothing here is guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What data_coding 0 stands for.
    pub default_alphabet: DefaultAlphabet,
    /// How GSM 7 bit text stands in octets.
    pub packing: Packing,
}
